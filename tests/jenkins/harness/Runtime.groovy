/** Where a build stands: stage, agent, environment, time limits; and the vocabulary of the shared library. */
class Runtime {
    final Build build
    final Shell shell = new Shell(this)
    final LinkedList<Map> layers = []
    final LinkedList<File> folders = []
    final LinkedList<Long> deadlines = []
    final LinkedList<String> stages = []
    final Map<String, Object> library = [:]
    final Params params
    final Env env = new Env(this)
    final CurrentBuild currentBuild
    final Scm scm = new Scm()
    Agent agent
    int scripts = 0
    volatile String ending

    Runtime(Build build) {
        this.build = build
        params = new Params(build.params)
        currentBuild = new CurrentBuild(build)
    }

    String getStage() { stages ? stages.join(' / ') : null }

    /** Return the folder that steps work in; without an agent there is none, as on a controller. */
    File workspace(String what) {
        if (!folders) { throw new StepFailed("${what}: no agent here: 'Required context class hudson.FilePath is missing'") }
        folders.last()
    }

    Object variable(String name) {
        for (Map layer : layers.reverse()) { if (layer.containsKey(name)) { return layer[name] } }
        if (build.variables.containsKey(name)) { return build.variables[name] }
        if (agent?.variables?.containsKey(name)) { return agent.variables[name] }
        exported()[name]
    }

    /** Parameters are in the environment, but not on a job's first run. */
    private Map exported() {
        build.number == 1 && !build.job.seeded ? [:] : build.params.collectEntries { k, v -> [(k): v == null ? '' : v.toString()] }
    }

    Map environment() {
        Map all = [:]
        all.putAll(exported())
        all.putAll(agent?.variables ?: [:])
        all.putAll(build.variables)
        layers.each { all.putAll(it) }
        all.findAll { it.value != null }.collectEntries { k, v -> [(k.toString()): v.toString()] }
    }

    Object within(Map layer, Closure body) {
        layers << layer
        try { return body() } finally { layers.removeLast() }
    }

    Object inside(File folder, Closure body) {
        folders << folder
        try { return body() } finally { folders.removeLast() }
    }

    Object limited(long millis, Closure body) {
        deadlines << System.currentTimeMillis() + millis
        try { return body() } finally { deadlines.removeLast() }
    }

    boolean isScripted() { scripts > 0 }

    Object scripting(Closure body) {
        scripts++
        try { return body() } finally { scripts-- }
    }

    /** Somebody pressed the red button once a line of the console matched. */
    void heard(String line) {
        String pattern = build.scenario.abort_on
        if (pattern && !ending && line =~ pattern) { ending = 'aborted by user' }
    }

    boolean overdue() {
        if (!ending && deadlines.any { it < System.currentTimeMillis() }) { ending = 'timeout' }
        ending != null
    }

    void check() {
        if (overdue()) { throw new StepFailed(ending, 'ABORTED') }
    }
}

/** A machine that a stage got: an empty workspace and an environment of its own. */
class Agent {
    String label
    File folder
    Map variables
}

/** `scm`: what the job builds. */
class Scm {
}
