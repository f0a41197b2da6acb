/**
 * Run a step for each of this build's projects; those that did not pass are left behind, the others go on.
 *
 * With `project: ''` for each that there is, with a name for this one alone: as a parameter says. A step that is about
 * an environment is about all that is deployed there: services, too.
 */
void call(Map options = [:], String step) {
    List<String> left = []
    for (String project in named(options)) {
        if (slipway(options + [project: project], step) == 0) {
            left << project
        }
    }
    env.SLIPWAY_PROJECTS = left.join(' ')
}

private List<String> named(Map options) {
    if (options.project) {
        return [options.project]
    }
    if (options.containsKey('project')) {
        return slipway.told('changed', all: 'true', deployed: options.env ? 'true' : '').tokenize()
    }
    return slipway.projects()
}
