/** Carries a declarative pipeline out, in the order in which Jenkins does. */
class Execution {
    final Controller controller
    final Build build
    final Runtime runtime
    final Steps steps
    final LinkedList<String> results = []
    PipelineSection pipeline

    Execution(Controller controller, Build build) {
        this.controller = controller
        this.build = build
        runtime = new Runtime(build)
        steps = new Steps(runtime, this)
    }

    void run(PipelineSection pipeline, Map given) {
        this.pipeline = pipeline
        declare(given)
        pipeline.root.begin()
        for (option in ['timeout', 'buildDiscarder', 'disableConcurrentBuilds', 'timestamps']) {
            if (!pipeline.root.options[option]) { throw new Refused("options: ${option} is missing") }
        }
        build.tell(kind: 'options', options: pipeline.root.options.keySet() as List, triggers: pipeline.triggers)
        try {
            stage(pipeline.root, true)
            if (build.scenario.restart_at && !build.restarted) { throw new Refused("there is no stage ${build.scenario.restart_at} at the top") }
        } catch (StepFailed failure) {
            build.say("${failure.result}: ${failure.message}")
            build.worsen(failure.result)
        }
    }

    /** Parameters: a job that nobody declared beforehand ignores on its first run what it was given. */
    private void declare(Map given) {
        Map values = build.number == 1 && !build.job.seeded ? [:] : given
        Set unknown = given.keySet() - pipeline.parameters*.name
        if (unknown) { throw new Refused("parameters ${unknown} are not declared") }
        pipeline.parameters.each { declared ->
            Object value = values.containsKey(declared.name) ? values[declared.name] : first(declared)
            if (declared.kind == 'choice' && !(value in declared.choices)) { throw new StepFailed("${declared.name}: ${value} is no choice") }
            build.params[declared.name] = declared.kind == 'boolean' ? value as boolean : value.toString()
        }
        build.tell(kind: 'parameters', names: pipeline.parameters*.name)
    }

    private static Object first(Map declared) { declared.kind == 'choice' ? declared.choices[0] : declared.defaultValue }

    // --- stages ---------------------------------------------------------------------------------------------------

    private void stage(StageSection section, boolean root = false) {
        if (!root) { runtime.stages << section.stage }
        results << 'SUCCESS'
        try {
            framed(section, root)
        } finally {
            build.tell(kind: 'stage', stage: root ? 'pipeline' : runtime.stage, result: results.last())
            String ended = results.removeLast()
            if (results && ended != 'SKIPPED') { stageResult(ended) }
            if (!root) { runtime.stages.removeLast() }
        }
    }

    void stageResult(String found) {
        if (Build.ORDER.indexOf(found) > Build.ORDER.indexOf(results.last())) { results[-1] = found }
    }

    private void framed(StageSection section, boolean root) {
        if (!root && (before(section) || skipped(section))) { return }
        section.begin()
        Map options = section.options
        Closure work = { inside(section, root) }
        if (options.retry && !root) { work = wrapped(work) { steps.retry(options.retry as int, it) } }
        if (options.lock) { work = wrapped(work) { locked(options.lock, it) } }
        if (options.timeout) { work = wrapped(work) { runtime.limited(Steps.millis(options.timeout), it) } }
        work()
    }

    /**
     * Whether a build that was restarted from a stage has not come to it yet. Stages at the top alone can be restarted from;
     * what earlier ones put into `env` is gone, parameters are what they were.
     */
    private boolean before(StageSection section) {
        String from = build.scenario.restart_at
        if (section.stage == from) { build.restarted = true }
        if (!from || build.restarted || runtime.stages.size() > 1) { return false }
        results[-1] = 'SKIPPED'
        true
    }

    private static Closure wrapped(Closure inner, Closure outer) { return { outer(inner) } }

    private boolean skipped(StageSection section) {
        boolean stop = pipeline.root.options.skipStagesAfterUnstable && build.result == 'UNSTABLE'
        boolean early = section.when.conditions.empty || section.when.beforeAgent || section.when.beforeInput || section.when.beforeOptions || !section.holdsAgent
        if (stop || (early && !holds(section.when))) {
            results[-1] = 'SKIPPED'
            return true
        }
        if (section.asks && section.when.conditions && !section.when.beforeInput) {
            throw new Refused("${section.name}: asks a person before it knows whether it runs; say beforeInput true")
        }
        if (!early) { throw new Refused("${section.name}: takes an agent before it knows whether it runs; say beforeAgent true") }
        false
    }

    private void inside(StageSection section, boolean root) {
        Map answer = section.input ? asked(section.input) : [:]
        runtime.within(answer) {
            onAgent(section, root) {
                runtime.within(environment(section)) { worked(section, root) }
            }
        }
    }

    private void worked(StageSection section, boolean root) {
        StepFailed failure = null
        try {
            runtime.check()
            if (section.steps) { steps.body(section.steps) }
            section.stages.each { stage(it) }
            branches(section)
        } catch (StepFailed found) {
            failure = found
            build.say("ERROR: ${found.message}")
            stageResult(found.result)
            build.worsen(found.result)
        }
        StepFailed later = posted(section)
        if (failure ?: later) { throw failure ?: later }
    }

    /** Branches run one after the other here; a failure is kept until all have run, as Jenkins does without failFast. */
    private void branches(StageSection section) {
        StepFailed failure = null
        List<Closure> all = section.parallel.collect { branch -> { -> stage(branch) } }
        if (section.matrix) {
            all += section.matrix.cells().collect { cell -> { -> cellOf(section.matrix, cell) } }
        }
        all.each { branch ->
            try { branch() } catch (StepFailed found) {
                failure = failure ?: found
                if (section.failFast || found.result == 'ABORTED') { throw found }
            }
        }
        if (failure) { throw failure }
    }

    private void cellOf(MatrixSection matrix, Map cell) {
        StageSection made = new StageSection("matrix ${cell.values().join(', ')}")
        made.agent = matrix.agent
        made.stages.addAll(matrix.stages)
        runtime.within(cell) { stage(made) }
    }

    private StepFailed posted(StageSection section) {
        StepFailed failure = null
        String ended = results.last()
        PostSection.ORDER.findAll { section.post[it] && applies(it, ended) }.each { condition ->
            try {
                String kept = runtime.ending
                runtime.ending = null  // clean-up runs after an abort, too
                try { steps.body(section.post[condition]) } finally { runtime.ending = runtime.ending ?: kept }
            } catch (StepFailed found) {
                build.say("Error in post ${condition}: ${found.message}")
                stageResult(found.result)
                build.worsen(found.result)
                failure = failure ?: found
            }
        }
        failure
    }

    private boolean applies(String condition, String ended) {
        String before = build.job.previous_result ?: 'SUCCESS'
        switch (condition) {
            case ['always', 'cleanup']: return true
            case 'changed': return ended != before
            case 'fixed': return ended == 'SUCCESS' && before != 'SUCCESS'
            case 'regression': return ended != 'SUCCESS' && before == 'SUCCESS'
            case 'unsuccessful': return ended != 'SUCCESS'
            default: return ended == condition.toUpperCase()
        }
    }

    // --- agents, environment --------------------------------------------------------------------------------------

    private Object onAgent(StageSection section, boolean root, Closure work) {
        if (root && !section.agent) { throw new Refused('pipeline: no agent; say `agent none`') }
        if (!section.holdsAgent) { return work() }
        if (section.agent.kind == 'docker') { throw new Refused("${section.name}: docker agents are not known here") }
        Agent before = runtime.agent
        List<File> outer = runtime.folders.collect { it }
        runtime.folders.clear()
        runtime.agent = controller.agent(build, section.agent.label ?: 'any')
        build.tell(kind: 'agent', stage: root ? 'pipeline' : runtime.stage, label: runtime.agent.label, folder: runtime.agent.folder.path)
        try {
            runtime.inside(runtime.agent.folder) {
                if (!pipeline.root.options.skipDefaultCheckout) { checkout() }
                work()
            }
        } finally {
            runtime.agent = before
            runtime.folders.addAll(outer)
        }
    }

    /** As the Git plugin does: the last successful build of the same branch is known, if there was one. */
    Map checkout() {
        File folder = runtime.workspace('checkout')
        Map scm = build.scenario.scm
        controller.git(['clone', '--quiet', *(scm.shallow ? ['--depth', '1'] : []), '--branch', scm.branch, scm.url, folder.path])
        String commit = controller.git(['-C', folder.path, 'rev-parse', 'HEAD']).trim()
        runtime.agent.variables.putAll([GIT_COMMIT: commit, GIT_URL: scm.url, GIT_BRANCH: "origin/${scm.branch}".toString()])
        build.tell(kind: 'checkout', stage: runtime.stage, commit: commit)
        [GIT_COMMIT: commit, GIT_URL: scm.url, *: (scm.previous ? [GIT_PREVIOUS_SUCCESSFUL_COMMIT: scm.previous] : [:])]
    }

    private Map environment(StageSection section) {
        if (!section.environment) { return [:] }
        EnvironmentSection found = new EnvironmentSection(this)
        Section.filled(section.environment, found)
        found.variables
    }

    // --- conditions -----------------------------------------------------------------------------------------------

    private boolean holds(WhenSection when) { when.conditions.every { holds(it) } }

    private boolean holds(List condition) {
        String name = condition[0]
        Object given = condition.size() > 1 ? condition[1] : null
        Map scm = build.scenario.scm
        switch (name) {
            case 'expression': return runtime.scripting { steps.body(given as Closure) } as boolean
            case 'branch': return build.variables.BRANCH_NAME != null && glob(given.toString(), build.variables.BRANCH_NAME)
            case 'changeRequest': return build.variables.CHANGE_ID != null
            case 'buildingTag': return build.variables.TAG_NAME != null
            case 'changeset': return (scm.changes ?: []).any { glob(given.toString(), it) }
            case 'triggeredBy': return build.scenario.cause == given
            case 'environment': return runtime.variable(given.name)?.toString() == given.value
            case 'equals': return given.expected == given.actual
            case 'not': return !holds(given as WhenSection)
            case 'allOf': return holds(given as WhenSection)
            case 'anyOf': return (given as WhenSection).conditions.any { holds(it) }
        }
        throw new Refused("when: unknown condition ${name}")
    }

    private static boolean glob(String pattern, String text) {
        text ==~ pattern.replace('.', '\\.').replace('**', '\u0000').replace('*', '[^/]*').replace('\u0000', '.*')
    }

    // --- people, locks, secrets, other jobs -----------------------------------------------------------------------

    Map asked(Map question) {
        if (runtime.folders) { throw new Refused("input: an agent is held while a person thinks about: ${question.message}") }
        if (!runtime.deadlines || (pipeline.root.options.timeout && runtime.deadlines.size() < 2)) {
            throw new Refused("input: nothing but the build's own timeout ends the wait for: ${question.message}")
        }
        List answers = build.scenario.answers ?: []
        Map answer = answers ? answers.remove(0) : null
        build.tell(kind: 'input', stage: runtime.stage, message: question.message, submitter: question.submitter, answer: answer)
        if (answer == null) { throw new StepFailed("input: nobody answered: ${question.message}", 'ABORTED') }
        if (answer.abort) { throw new StepFailed("input: ${answer.by} said no", 'ABORTED') }
        List allowed = (question.submitter ?: '').split(',').findAll { it }
        if (allowed && !(answer.by in allowed || (answer.groups ?: []).any { it in allowed })) {
            throw new StepFailed("input: ${answer.by} may not answer", 'ABORTED')
        }
        Map found = question.submitterParameter ? [(question.submitterParameter.toString()): answer.by] : [:]
        (question.parameters ?: []).each { found[it.name] = (answer.values ?: [:])[it.name] ?: first(it) }
        found
    }

    Object locked(Object options, Closure work) {
        Map given = options instanceof Map ? options : [resource: options.toString()]
        if (given.label && !given.containsKey('resource')) { throw new Refused('lock(label:) needs resource: null') }
        String name = given.resource ?: "label ${given.label}"
        build.tell(kind: 'lock', stage: runtime.stage, resource: name)
        controller.holding(name, build) { work() }
    }

    Map bound(Map binding) {
        Map found = controller.credential(binding.credentialsId.toString())
        switch (binding.kind) {
            case 'string': return secret([(binding.variable): found.value])
            case 'file': return [(binding.variable): found.path]
            case 'git': return [GIT_USERNAME: found.username, *: secret([GIT_PASSWORD: found.password])]
            case 'usernamePassword':
                return [(binding.usernameVariable): found.username, *: secret([(binding.passwordVariable): found.password])]
        }
        throw new Refused("withCredentials: unknown binding ${binding.kind}")
    }

    Map secret(Map values) {
        values.values().each { build.masked << it.toString() }
        values
    }

    File archive(String kind) {
        File folder = new File(build.scenario.archive.toString(), "${build.job.name}-${build.number}/${kind}")
        folder.mkdirs()
        folder
    }

    Object downstream(Map options) {
        Set left = options.keySet() - ['job', 'parameters', 'wait', 'propagate', 'quietPeriod']
        if (left) { throw new Refused("build: unknown option ${left}") }
        if (!options.containsKey('wait') || (options.wait && !options.containsKey('propagate'))) {
            throw new Refused("build ${options.job}: say wait and propagate")
        }
        Map given = (options.parameters ?: []).collectEntries { [(it.name): it.value] }
        build.tell(kind: 'build', stage: runtime.stage, job: options.job, parameters: given, wait: options.wait)
        if (!options.wait) { return null }
        Build other = controller.run(options.job.toString(), given)
        if (options.propagate && other.result != 'SUCCESS') { throw new StepFailed("${options.job} #${other.number}: ${other.result}", other.result) }
        [result: other.result, currentResult: other.result, number: other.number, description: other.description]
    }
}
