/** Ask a step something and keep its code as env.SLIPWAY_CODE: 0 yes, 3 no (yellow), 4 a person has to agree. */
void call(Map options = [:], String step) {
    int code = slipway.ended(options, step)
    env.SLIPWAY_CODE = "${code}"
    if (code != 4) {
        slipway.mapped(step, code)
    }
}
