/** Start another of our jobs for each of this build's projects, and do not wait for it. */
void call(Map options = [:], String job) {
    for (String project in slipway.projects()) {
        List given = [string(name: 'PROJECT', value: project)]
        for (option in options) {
            given << string(name: option.key.toUpperCase(), value: option.value)
        }
        build job: "${env.SLIPWAY_FOLDER ?: ''}${job}", parameters: given, wait: false
    }
}
