/** One build of one job: its environment, its result so far, and everything that it did. */
class Build {
    static final List<String> ORDER = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'ABORTED', 'NOT_BUILT']

    final Map scenario
    final Map job
    final int number
    final Map params = [:]
    final Map variables = [:]
    final List<Map> trace = []
    final StringBuffer console = new StringBuffer()
    final List<String> masked = []
    final Map<String, File> stashes = [:]
    final Map<String, Integer> workspaces = [:]
    String result = 'SUCCESS'
    String description = ''
    String displayName
    int milestone = -1
    boolean restarted

    Build(Map scenario, Map job, int number) {
        this.scenario = scenario
        this.job = job
        this.number = number
        displayName = "#${number}"
        String url = "https://jenkins.example/job/${job.name}/${number}/"
        variables.putAll([JOB_NAME: job.name, BUILD_NUMBER: number as String, BUILD_URL: url, CI: 'true'])
        variables.putAll(job.variables ?: [:])
    }

    void worsen(String found) {
        if (ORDER.indexOf(found) > ORDER.indexOf(result)) { result = found }
    }

    void tell(Map event) {
        trace << event
    }

    void say(String line) {
        String shown = masked.inject(line) { text, secret -> text.replace(secret, '****') }
        synchronized (console) { console.append(shown).append('\n') }
    }

    Map document() {
        [job: job.name, number: number, result: result, description: description, name: displayName,
         trace: trace, console: console.toString()]
    }
}

/** What a Jenkinsfile sees as `currentBuild`: it may be read and described, its result is nobody's to set. */
class CurrentBuild {
    private final Build build

    CurrentBuild(Build build) { this.build = build }

    String getCurrentResult() { build.result }
    String getResult() { build.result == 'SUCCESS' ? null : build.result }
    void setResult(String ignored) { throw new Refused('currentBuild.result is set; use unstable() or error()') }
    int getNumber() { build.number }
    String getDescription() { build.description }
    void setDescription(String text) {
        if (text.contains('\n') || text.length() > 300) { throw new Refused("description is not one short line: ${text}") }
        build.description = text
    }
    String getDisplayName() { build.displayName }

    /** A person who pressed the button, if one did; other causes are of no interest here. */
    List getBuildCauses(String kind) {
        if (kind != 'hudson.model.Cause$UserIdCause') { throw new Refused("getBuildCauses: unknown kind ${kind}") }
        build.scenario.user ? [[userId: build.scenario.user]] : []
    }
    void setDisplayName(String text) { build.displayName = text }
}

/** `params`: what is declared can be read; a name that nobody declared is a mistake, not null. */
class Params {
    private final Map values

    Params(Map values) { this.values = values }

    Object getProperty(String name) {
        if (!values.containsKey(name)) { throw new Refused("params.${name} is not declared") }
        values[name]
    }
}

/** `env`: read through all layers; written as text. */
class Env {
    private final Runtime runtime

    Env(Runtime runtime) { this.runtime = runtime }

    Object getProperty(String name) { runtime.variable(name) }
    void setProperty(String name, Object value) { runtime.build.variables[name] = value == null ? '' : value.toString() }
    Map getEnvironment() { runtime.environment() }
}
