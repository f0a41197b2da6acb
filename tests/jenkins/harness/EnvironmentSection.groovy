/** `environment {}`: assignments in order; `credentials()` binds a secret. */
class EnvironmentSection extends Section {
    final String name = 'environment'
    final Map variables = [:]
    private final Execution execution

    EnvironmentSection(Execution execution) { this.execution = execution }

    Map credentials(String id) {
        Map found = execution.controller.credential(id)
        [secret: found]
    }

    Object getProperty(String property) {
        switch (property) {
            case 'name': return 'environment'
            case 'variables': return this.@variables
            case 'env': return execution.runtime.env
            case 'params': return execution.runtime.params
        }
        if (this.@variables.containsKey(property)) { return this.@variables[property] }
        Object found = execution.runtime.variable(property)
        if (found == null) { throw new Refused("environment: ${property} is not set here") }
        found
    }

    void setProperty(String property, Object value) {
        if (value instanceof Map && value.secret) {
            Map found = value.secret
            if (found.kind == 'usernamePassword') {
                this.@variables.putAll(execution.secret([("${property}_PSW".toString()): found.password]))
                this.@variables["${property}_USR".toString()] = found.username
            } else {
                this.@variables.putAll(execution.secret([(property): found.value ?: found.path]))
            }
            return
        }
        this.@variables[property] = value.toString()
    }
}
