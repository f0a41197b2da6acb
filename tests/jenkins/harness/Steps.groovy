import groovy.xml.XmlUtil
import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.StandardCopyOption

/** What may stand in `steps {}` and in the shared library. A step that is not here fails the test. */
class Steps {
    static final Map<String, Long> UNITS = [MILLISECONDS: 1L, SECONDS: 1000L, MINUTES: 60_000L, HOURS: 3_600_000L, DAYS: 86_400_000L]
    static final long STASH_LIMIT = 100L << 20

    final Runtime runtime
    final Execution execution

    Steps(Runtime runtime, Execution execution) {
        this.runtime = runtime
        this.execution = execution
    }

    private Build getBuild() { runtime.build }

    // --- glue -----------------------------------------------------------------------------------------------------

    Object methodMissing(String name, Object args) {
        if (runtime.library.containsKey(name)) {
            runtime.check()
            return runtime.scripting { runtime.library[name].invokeMethod('call', args) }
        }
        throw new Refused("unknown step `${name}`")
    }

    Object propertyMissing(String name) {
        if (runtime.library.containsKey(name)) {
            if (!runtime.scripted) { throw new Refused("${name}.…: a method of an object may be called inside `script {}` only") }
            return runtime.library[name]
        }
        Object found = runtime.variable(name)
        if (found == null) { throw new MissingPropertyException(name, Steps) }
        found
    }

    Env getEnv() { runtime.env }
    Params getParams() { runtime.params }
    CurrentBuild getCurrentBuild() { runtime.currentBuild }
    Scm getScm() { runtime.scm }

    Object body(Closure closure) {
        closure.delegate = this
        closure.resolveStrategy = Closure.DELEGATE_FIRST
        closure()
    }

    private static void only(String step, Map given, List known) {
        Set left = given.keySet().collect { it.toString() } - known
        if (left) { throw new Refused("${step}: unknown option ${left}") }
    }

    // --- shell, files ---------------------------------------------------------------------------------------------

    Object sh(Object script) { sh([script: script]) }

    Object sh(Map options) {
        only('sh', options, ['script', 'label', 'returnStatus', 'returnStdout', 'encoding'])
        runtime.check()
        shellFrom(options)
    }

    private Object shellFrom(Map options) {
        if (options.script instanceof GString) { throw new Refused("sh: Groovy writes into the script: ${options.script}") }
        runtime.shell.run(options)
    }

    String readFile(Object path) { new File(runtime.workspace('readFile'), path.toString()).getText('UTF-8') }
    boolean fileExists(Object path) { new File(runtime.workspace('fileExists'), path.toString()).exists() }

    void writeFile(Map options) {
        only('writeFile', options, ['file', 'text'])
        new File(runtime.workspace('writeFile'), options.file).setText(options.text, 'UTF-8')
    }

    Object dir(Object path, Closure closure) {
        File folder = new File(runtime.workspace('dir'), path.toString())
        folder.mkdirs()
        runtime.inside(folder) { body(closure) }
    }

    void deleteDir() { runtime.workspace('deleteDir').deleteDir() }
    void cleanWs() { runtime.workspace('cleanWs').eachFile { it.directory ? it.deleteDir() : it.delete() } }
    boolean isUnix() { true }

    Map checkout(Object what) {
        if (!(what instanceof Scm)) { throw new Refused('checkout: only scm is known here') }
        execution.checkout()
    }

    // --- how it ends ----------------------------------------------------------------------------------------------

    void mail(Map options) {
        only('mail', options, ['to', 'subject', 'body', 'cc', 'from', 'replyTo'])
        build.tell(kind: 'mail', stage: runtime.stage, to: options.to, subject: options.subject.toString())
    }

    void echo(Object text) { build.say(text.toString()) }
    void error(Object text) { throw new StepFailed(text.toString()) }

    void unstable(Object text) {
        String message = text instanceof Map ? text.message : text
        build.say("WARNING: ${message}")
        mark('UNSTABLE', message)
    }

    private void mark(String found, String message) {
        build.worsen(found)
        execution.stageResult(found)
        build.tell(kind: 'mark', stage: runtime.stage, result: found, message: message)
    }

    Object catchError(Map options = [:], Closure closure) {
        only('catchError', options, ['buildResult', 'stageResult', 'message', 'catchInterruptions'])
        try {
            return body(closure)
        } catch (StepFailed failure) {
            if (failure.result == 'ABORTED' && options.catchInterruptions == false) { throw failure }
            build.say("ERROR: ${failure.message}")
            build.worsen(options.buildResult ?: 'FAILURE')
            execution.stageResult(options.stageResult ?: options.buildResult ?: 'FAILURE')
        }
        null
    }

    Object warnError(Object message, Closure closure) {
        try {
            return body(closure)
        } catch (StepFailed failure) {
            if (failure.result == 'ABORTED') { throw failure }
            mark('UNSTABLE', "${message}: ${failure.message}")
        }
        null
    }

    // --- blocks ---------------------------------------------------------------------------------------------------

    Object script(Closure closure) { runtime.scripting { body(closure) } }
    Object timestamps(Closure closure) { body(closure) }

    Object withEnv(List pairs, Closure closure) {
        Map layer = pairs.collectEntries { pair ->
            int at = pair.toString().indexOf('=')
            if (at < 1) { throw new Refused("withEnv: ${pair} has no name") }
            [(pair.toString().substring(0, at)): pair.toString().substring(at + 1)]
        }
        runtime.within(layer) { body(closure) }
    }

    Object timeout(Map options, Closure closure) {
        only('timeout', options, ['time', 'unit', 'activity'])
        runtime.limited(millis(options)) { body(closure) }
    }

    static long millis(Map options) { (options.time as long) * UNITS[(options.unit ?: 'MINUTES').toString()] }

    Object retry(Object count, Closure closure) { retry([count: count], closure) }

    Object retry(Map options, Closure closure) {
        only('retry', options, ['count', 'conditions'])
        int left = options.count as int
        while (true) {
            try {
                return body(closure)
            } catch (StepFailed failure) {
                left--
                if (left <= 0 || failure.result == 'ABORTED') { throw failure }
                build.tell(kind: 'retry', stage: runtime.stage, because: failure.message)
            }
        }
    }

    /** Time passes at once here, but it is told; a wait must not outlive the build. */
    void sleep(Object options) {
        Map given = options instanceof Map ? options : [time: options, unit: 'SECONDS']
        runtime.check()
        build.tell(kind: 'sleep', stage: runtime.stage, millis: millis([unit: 'SECONDS', *: given]))
        Thread.sleep(50)
    }

    Object lock(Object resource, Closure closure) { lock([resource: resource.toString()], closure) }

    Object lock(Map options, Closure closure) {
        execution.locked(options) { body(closure) }
    }

    void milestone(Object options) {
        int ordinal = (options instanceof Map ? options.ordinal : options) as int
        if (ordinal <= build.milestone) { throw new Refused("milestone ${ordinal} does not rise") }
        build.milestone = ordinal
        build.tell(kind: 'milestone', ordinal: ordinal)
    }

    Object input(Map options) {
        if (runtime.folders) { throw new Refused('input: an agent is held while a person thinks') }
        execution.asked(options)
    }

    // --- credentials ----------------------------------------------------------------------------------------------

    Map string(Map given) { given.containsKey('credentialsId') ? [kind: 'string', *: given] : [kind: 'parameter', *: given] }
    Map booleanParam(Map given) { [kind: 'parameter', *: given] }
    Map usernamePassword(Map given) { [kind: 'usernamePassword', *: given] }
    Map file(Map given) { [kind: 'file', *: given] }
    Map gitUsernamePassword(Map given) { [kind: 'git', *: given] }

    Object withCredentials(List bindings, Closure closure) {
        Map layer = [:]
        bindings.each { layer.putAll(execution.bound(it)) }
        runtime.within(layer) { body(closure) }
    }

    // --- results --------------------------------------------------------------------------------------------------

    void stash(Map options) {
        only('stash', options, ['name', 'includes', 'excludes', 'allowEmpty', 'useDefaultExcludes'])
        File target = Files.createTempDirectory('stash').toFile()
        List<File> found = copied(options.includes ?: '**', target, options.excludes)
        if (!found && !options.allowEmpty) { throw new StepFailed("stash ${options.name}: no files") }
        if ((found*.length().sum() ?: 0) > STASH_LIMIT) { throw new Refused("stash ${options.name}: more than 100 MB through the controller") }
        build.stashes[options.name.toString()] = target
        build.tell(kind: 'stash', name: options.name, files: found.size())
    }

    void unstash(Object name) {
        File source = build.stashes[name.toString()]
        if (source == null) { throw new StepFailed("unstash ${name}: no such saved stash") }
        copyTree(source, runtime.workspace('unstash'))
    }

    Object junit(Object options) {
        Map given = options instanceof Map ? options : [testResults: options]
        only('junit', given, ['testResults', 'allowEmptyResults', 'skipPublishingChecks', 'keepLongStdio', 'skipMarkingBuildUnstable'])
        List<File> found = matching(given.testResults.toString(), null)
        if (!found && !given.allowEmptyResults) { throw new StepFailed("junit: no test report files were found: ${given.testResults}") }
        List suites = found.collect { new XmlSlurper().parse(it) }
        List cases = suites.collectMany { it.'**'.findAll { node -> node.name() == 'testcase' } }
        int failed = cases.count { it.failure.size() || it.error.size() } as int
        build.tell(kind: 'junit', stage: runtime.stage, files: found*.name, cases: cases.size(), failed: failed)
        if (failed && !given.skipMarkingBuildUnstable) { mark('UNSTABLE', "${failed} test cases failed") }
        null
    }

    void archiveArtifacts(Map options) {
        only('archiveArtifacts', options, ['artifacts', 'excludes', 'allowEmptyArchive', 'fingerprint', 'onlyIfSuccessful'])
        List<File> found = copied(options.artifacts.toString(), execution.archive('artifacts'), options.excludes)
        if (!found && !options.allowEmptyArchive) { throw new StepFailed("archiveArtifacts: nothing matches ${options.artifacts}") }
        build.tell(kind: 'archive', stage: runtime.stage, files: found.size())
    }

    void publishHTML(Map options) {
        only('publishHTML', options, ['reportDir', 'reportFiles', 'reportName', 'keepAll', 'alwaysLinkToLastBuild', 'allowMissing', 'includes'])
        File folder = new File(runtime.workspace('publishHTML'), options.reportDir.toString())
        if (!folder.directory) {
            if (options.allowMissing) { return }
            throw new StepFailed("publishHTML: no folder ${options.reportDir}")
        }
        copyTree(folder, new File(execution.archive('html'), options.reportName.toString()))
        build.tell(kind: 'html', name: options.reportName, folder: options.reportDir)
    }

    Object build(Map options) { execution.downstream(options) }

    // --- files by pattern -----------------------------------------------------------------------------------------

    private List<File> matching(String patterns, String excluded) {
        File root = runtime.workspace('pattern')
        List wanted = patterns.split(/\s*,\s*/).collect { matcher(it) }
        List unwanted = (excluded ?: '').split(/\s*,\s*/).findAll { it }.collect { matcher(it) }
        List<File> found = []
        root.eachFileRecurse(groovy.io.FileType.FILES) { file ->
            def path = root.toPath().relativize(file.toPath())
            if (path.toString().startsWith('.git/')) { return }
            if (wanted.any { it(path) } && !unwanted.any { it(path) }) { found << file }
        }
        found.sort()
    }

    private static Closure matcher(String pattern) {
        List globs = [pattern, pattern.replace('**/', '')].unique()
        List matchers = globs.collect { FileSystems.default.getPathMatcher("glob:${it}") }
        return { path -> matchers.any { it.matches(path) } }
    }

    private List<File> copied(String patterns, File target, Object excluded) {
        File root = runtime.workspace('copy')
        matching(patterns, excluded?.toString()).each { file ->
            File copy = new File(target, root.toPath().relativize(file.toPath()).toString())
            copy.parentFile.mkdirs()
            Files.copy(file.toPath(), copy.toPath(), StandardCopyOption.REPLACE_EXISTING)
        }
    }

    private static void copyTree(File source, File target) {
        source.eachFileRecurse(groovy.io.FileType.FILES) { file ->
            File copy = new File(target, source.toPath().relativize(file.toPath()).toString())
            copy.parentFile.mkdirs()
            Files.copy(file.toPath(), copy.toPath(), StandardCopyOption.REPLACE_EXISTING)
        }
    }
}
