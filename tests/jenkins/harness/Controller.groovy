import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.nio.file.Files
import org.codehaus.groovy.ast.expr.ConstructorCallExpression
import org.codehaus.groovy.ast.expr.MethodCallExpression
import org.codehaus.groovy.control.CompilerConfiguration
import org.codehaus.groovy.control.customizers.SecureASTCustomizer

/** Jobs, agents, credentials and locks, as far as pipelines see them. */
class Controller {
    final Map scenario
    final List<Build> builds = []
    final Map<String, Integer> numbers = [:]
    final Map<String, Build> locks = [:]

    Controller(Map scenario) { this.scenario = scenario }

    /** Carries out scenarios, one for each line that names its file and the file for what happened. */
    static void main(String... arguments) {
        System.in.eachLine('UTF-8') { line ->
            List<String> files = line.split('\t') as List
            new File(files[1]).setText(JsonOutput.toJson(ran(new File(files[0]))), 'UTF-8')
            println 'done'
            System.out.flush()
        }
    }

    private static Map ran(File file) {
        Controller controller = new Controller(new JsonSlurper().parse(file, 'UTF-8') as Map)
        Map found = [refused: null, crashed: null]
        try {
            controller.run(controller.scenario.job.toString(), controller.scenario.parameters ?: [:])
        } catch (Refused refused) {
            found.refused = refused.message
        } catch (Throwable crashed) {
            StringWriter trace = new StringWriter()
            crashed.printStackTrace(new PrintWriter(trace))
            found.crashed = trace.toString()
        }
        found + [builds: controller.builds*.document()]
    }

    Build run(String name, Map given) {
        Map job = scenario.jobs[name]
        if (job == null) { throw new Refused("build: there is no job ${name}") }
        int number = (numbers[name] ?: ((job.number ?: 1) as int) - 1) + 1
        numbers[name] = number
        Build build = new Build(scenario, [name: name, *: job], number)
        builds << build
        Execution execution = new Execution(this, build)
        PipelineSection pipeline = loaded(execution, job.file.toString())
        execution.run(pipeline, given)
        build
    }

    private PipelineSection loaded(Execution execution, String file) {
        PipelineSection pipeline = new PipelineSection()
        boolean seen = false
        Binding binding = new Binding()
        binding.setVariable('pipeline') { Closure body -> seen = true; Section.filled(body, pipeline) }
        binding.setVariable('library') { Map options -> libraryOf(execution, options) }
        binding.setVariable('legacySCM') { Map options -> options }
        ['env', 'params', 'currentBuild', 'scm'].each { binding.setVariable(it, execution.runtime[it]) }
        Script script = new GroovyShell(this.class.classLoader, binding, sandboxed()).parse(new File(file))
        script.metaClass.methodMissing = { String method, Object args -> execution.steps.invokeMethod(method, args) }
        script.run()
        if (!seen) { throw new Refused("${file}: no pipeline") }
        pipeline
    }

    /** The shared library comes from the checkout that is built: `vars/` below the path that is named. */
    private void libraryOf(Execution execution, Map options) {
        String path = options.retriever?.libraryPath
        if (!path) { throw new Refused('library: no libraryPath') }
        File folder = new File(scenario.root.toString(), "${path}/vars")
        folder.eachFileMatch(~/.*\.groovy/) { file ->
            Binding binding = new Binding()
            Script script = new GroovyShell(this.class.classLoader, binding, sandboxed()).parse(file)
            script.metaClass.methodMissing = { String method, Object args -> execution.steps.invokeMethod(method, args) }
            script.metaClass.propertyMissing = { String property -> execution.runtime.scripting { execution.steps.getProperty(property) } }
            ['env', 'params', 'currentBuild', 'scm'].each { binding.setVariable(it, execution.runtime[it]) }
            execution.runtime.library[file.name - '.groovy'] = script
        }
    }

    /** What Jenkins's script sandbox refuses, as far as it can be told from the source. */
    private static CompilerConfiguration sandboxed() {
        SecureASTCustomizer rules = new SecureASTCustomizer()
        rules.importsWhitelist = []
        rules.staticImportsWhitelist = []
        rules.packageAllowed = false
        rules.addExpressionCheckers({ expression ->
            if (expression instanceof ConstructorCallExpression) { return false }
            !(expression instanceof MethodCallExpression && expression.methodAsString in ['execute', 'evaluate', 'getClass'])
        } as SecureASTCustomizer.ExpressionChecker)
        CompilerConfiguration configuration = new CompilerConfiguration()
        configuration.addCompilationCustomizers(rules)
        configuration
    }

    Agent agent(Build build, String label) {
        Map known = scenario.agents ?: [:]
        if (!known.containsKey(label)) { throw new Refused("there is no agent with label ${label}") }
        int number = (build.workspaces[label] ?: 0) + 1
        build.workspaces[label] = number
        File root = new File(scenario.workspaces.toString(), "${build.job.name}-${build.number}-${label}-${number}")
        File home = new File(root, 'home')
        File workspace = new File(root, 'workspace')
        home.mkdirs()
        workspace.mkdirs()
        Map variables = [HOME: home.path, WORKSPACE: workspace.path, NODE_LABELS: label, *: known[label]]
        new Agent(label: label, folder: workspace, variables: variables)
    }

    Map credential(String id) {
        Map found = (scenario.credentials ?: [:])[id]
        if (found == null) { throw new StepFailed("Could not find credentials entry with ID '${id}'") }
        found
    }

    Object holding(String name, Build build, Closure work) {
        if (locks[name] && !locks[name].is(build)) { throw new Refused("deadlock: ${name} is held by ${locks[name].job.name}") }
        Build before = locks[name]
        locks[name] = build
        try { return work() } finally { locks[name] = before }
    }

    String git(List<String> arguments) {
        Process process = new ProcessBuilder(['git', *arguments]*.toString()).redirectErrorStream(true).start()
        String out = process.inputStream.getText('UTF-8')
        if (process.waitFor() != 0) { throw new StepFailed("git ${arguments[0]}: ${out.trim()}") }
        out
    }
}
