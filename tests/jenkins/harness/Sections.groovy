/** A section of a declarative pipeline: what it does not know it refuses. */
abstract class Section {
    abstract String getName()

    Object methodMissing(String method, Object args) {
        throw new Refused("${name}: unknown construct `${method}`")
    }

    static Object filled(Closure body, Object section) {
        body.delegate = section
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body()
        section
    }
}

class PipelineSection extends Section {
    final String name = 'pipeline'
    final StageSection root = new StageSection('pipeline')
    final List<Map> parameters = []
    final List<String> triggers = []
    boolean agentSeen

    void agent(Object what) { root.agent(what) }
    void agent(Closure body) { root.agent(body) }
    void options(Closure body) { root.options(body) }
    void parameters(Closure body) { Section.filled(body, new ParametersSection(parameters)) }
    void triggers(Closure body) { Section.filled(body, new TriggersSection(triggers)) }
    void environment(Closure body) { root.environment(body) }
    void stages(Closure body) { root.stages(body) }
    void post(Closure body) { root.post(body) }
    Object getNone() { 'none' }
    Object getAny() { 'any' }
}

class StageSection extends Section {
    final String stage
    Closure agentAsked, environment, steps, inputAsked, optionsAsked
    Map agent
    Map input
    Map options = [:]
    final WhenSection when = new WhenSection()
    final List<StageSection> stages = [], parallel = []
    final Map<String, Closure> post = [:]
    boolean failFast
    MatrixSection matrix

    StageSection(String stage) { this.stage = stage }

    String getName() { "stage ${stage}" }
    void agent(Object what) { agent = [kind: what.toString()] }
    void agent(Closure body) { agentAsked = body }
    void environment(Closure body) { environment = body }
    void options(Closure body) { optionsAsked = body }
    void when(Closure body) { Section.filled(body, when) }
    void input(Closure body) { inputAsked = body }
    void input(String message) { input = [message: message] }
    void steps(Closure body) { steps = body }
    void stages(Closure body) { Section.filled(body, new StagesSection(stages)) }
    void parallel(Closure body) { Section.filled(body, new StagesSection(parallel)) }
    void matrix(Closure body) { matrix = Section.filled(body, new MatrixSection()) }
    void failFast(boolean yes) { failFast = yes }
    void post(Closure body) { Section.filled(body, new PostSection(post)) }
    Object getNone() { 'none' }
    Object getAny() { 'any' }

    boolean getAsks() { input != null || inputAsked != null }
    boolean getHoldsAgent() { agentAsked != null || (agent && agent.kind != 'none') }

    /** What depends on parameters and earlier stages is read when the stage begins. */
    void begin() {
        if (agentAsked) { agent = Section.filled(agentAsked, new AgentSection()).found }
        if (inputAsked) { input = Section.filled(inputAsked, new InputSection()).found }
        if (optionsAsked) { options = Section.filled(optionsAsked, new OptionsSection([:])).found }
    }

    void complete() {
        int bodies = [steps != null, !stages.empty, !parallel.empty, matrix != null].count(true)
        if (bodies != 1) { throw new Refused("${name}: needs exactly one of steps, stages, parallel, matrix") }
    }
}

class StagesSection extends Section {
    final String name = 'stages'
    final List<StageSection> found

    StagesSection(List<StageSection> found) { this.found = found }

    void stage(String title, Closure body) {
        StageSection made = Section.filled(body, new StageSection(title))
        made.complete()
        found << made
    }
}

class MatrixSection extends Section {
    final String name = 'matrix'
    final Map<String, List<String>> axes = [:]
    final List<StageSection> stages = []
    Map agent

    void axes(Closure body) { Section.filled(body, new AxesSection(axes)) }
    void stages(Closure body) { Section.filled(body, new StagesSection(stages)) }
    void agent(Closure body) { agent = Section.filled(body, new AgentSection()).found }

    List<Map> cells() {
        axes.inject([[:]]) { cells, axis, values -> cells.collectMany { cell -> values.collect { cell + [(axis): it] } } }
    }
}

class AxesSection extends Section {
    final String name = 'axes'
    final Map<String, List<String>> found

    AxesSection(Map found) { this.found = found }

    void axis(Closure body) {
        AxisSection made = Section.filled(body, new AxisSection())
        found[made.axis] = made.found
    }
}

class AxisSection extends Section {
    String axis
    List<String> found

    String getName() { 'axis' }
    void name(String text) { axis = text }
    void values(String... texts) { found = texts as List }
}

class AgentSection extends Section {
    final String name = 'agent'
    Map found = [:]

    void label(Object text) { found = [kind: 'label', label: text.toString()] }
    void docker(Closure body) { found = [kind: 'docker', *: Section.filled(body, new DockerSection()).found] }
}

class DockerSection extends Section {
    final String name = 'docker'
    final Map found = [:]

    void image(Object text) { found.image = text.toString() }
    void label(Object text) { found.label = text.toString() }
    void args(Object text) { found.args = text.toString() }
    void reuseNode(boolean yes) { found.reuseNode = yes }
}

class OptionsSection extends Section {
    static final Set<String> KNOWN = ['timeout', 'buildDiscarder', 'disableConcurrentBuilds', 'timestamps', 'skipDefaultCheckout',
                                      'lock', 'retry', 'disableResume', 'preserveStashes', 'parallelsAlwaysFailFast', 'ansiColor',
                                      'skipStagesAfterUnstable', 'quietPeriod'] as Set
    final String name = 'options'
    final Map found

    OptionsSection(Map found) { this.found = found }

    Object logRotator(Map limits) { limits }

    Object methodMissing(String method, Object args) {
        if (!(method in KNOWN)) { throw new Refused("options: unknown option `${method}`") }
        List given = args as List
        found[method] = given.empty ? true : given.size() == 1 ? given[0] : given
    }
}

class ParametersSection extends Section {
    final String name = 'parameters'
    final List<Map> found

    ParametersSection(List<Map> found) { this.found = found }

    void string(Map given) { add('string', given) }
    void text(Map given) { add('text', given) }
    void booleanParam(Map given) { add('boolean', given) }
    void choice(Map given) { add('choice', given) }
    void password(Map given) { throw new Refused('parameters: password is stored with the build; use a credential id') }

    private void add(String kind, Map given) {
        if (!given.name) { throw new Refused('parameters: one has no name') }
        if (!given.description) { throw new Refused("parameters: ${given.name} has no description") }
        if (kind == 'choice' && !given.choices) { throw new Refused("parameters: ${given.name} has no choices") }
        if (kind != 'choice' && !given.containsKey('defaultValue')) { throw new Refused("parameters: ${given.name} has no default") }
        Set left = given.keySet() - ['name', 'description', 'defaultValue', 'choices', 'trim']
        if (left) { throw new Refused("parameters: ${given.name}: unknown ${left}") }
        found << [kind: kind, *: given]
    }
}

class TriggersSection extends Section {
    final String name = 'triggers'
    final List<String> found

    TriggersSection(List<String> found) { this.found = found }

    void cron(String spec) { found << add(spec) }
    void pollSCM(String spec) { found << add(spec) }

    private String add(String spec) {
        if (!spec.contains('H')) { throw new Refused("triggers: ${spec}: without H all jobs start at once") }
        spec
    }
}

class InputSection extends Section {
    final String name = 'input'
    final Map found = [parameters: []]

    void message(Object text) { found.message = text.toString() }
    void id(String text) { found.id = text }
    void ok(String text) { found.ok = text }
    void submitter(Object text) { found.submitter = text?.toString() }
    void submitterParameter(String text) { found.submitterParameter = text }
    void parameters(Closure body) { Section.filled(body, new ParametersSection(found.parameters)) }
}

class PostSection extends Section {
    static final List<String> ORDER = ['always', 'changed', 'fixed', 'regression', 'aborted', 'failure', 'success',
                                       'unstable', 'unsuccessful', 'cleanup']
    final String name = 'post'
    final Map<String, Closure> found

    PostSection(Map<String, Closure> found) { this.found = found }

    Object methodMissing(String method, Object args) {
        if (!(method in ORDER)) { throw new Refused("post: unknown condition `${method}`") }
        found[method] = (args as List)[0]
        null
    }
}

/** `when`: conditions are kept and asked later. */
class WhenSection extends Section {
    static final Set<String> KNOWN = ['branch', 'expression', 'changeRequest', 'changeset', 'buildingTag', 'triggeredBy', 'environment',
                                      'equals', 'not', 'allOf', 'anyOf'] as Set
    final String name = 'when'
    final List<List> conditions = []
    boolean beforeAgent, beforeInput, beforeOptions

    void beforeAgent(boolean yes) { beforeAgent = yes }
    void beforeInput(boolean yes) { beforeInput = yes }
    void beforeOptions(boolean yes) { beforeOptions = yes }

    Object methodMissing(String method, Object args) {
        if (!(method in KNOWN)) { throw new Refused("when: unknown condition `${method}`") }
        List given = args as List
        if (method in ['not', 'allOf', 'anyOf']) { given = [Section.filled(given[0], new WhenSection())] }
        conditions << [method, *given]
        null
    }
}
