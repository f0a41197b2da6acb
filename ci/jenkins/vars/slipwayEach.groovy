/** Run a step for each of this build's projects; those that did not pass are left behind, the others go on. */
void call(Map options = [:], String step) {
    List<String> left = []
    for (String project in slipway.projects()) {
        if (slipway(options + [project: project], step) == 0) {
            left << project
        }
    }
    env.SLIPWAY_PROJECTS = left.join(' ')
}
