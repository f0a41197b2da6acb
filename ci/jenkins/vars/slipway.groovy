/**
 * Our steps, as pipelines call them; the one place where exit codes become what Jenkins does.
 *
 *     slipway 'gate', project: 'flights', champion: params.CHAMPION
 *
 * Options travel as environment variables (SLIPWAY_GATE_CHAMPION), never as text of a shell: whatever a parameter holds
 * reaches Python as data, and Python refuses what is none. An option that is null or empty is left out.
 *
 * | code | outcome | the build |
 * |---|---|---|
 * | 0 | passed | goes on |
 * | 3, 4 | rejected, inconclusive | turns yellow; returned, so that a pipeline can stop or ask |
 * | 5 | unavailable | tries twice more, then turns red |
 * | 7 | not restored | turns red and calls somebody |
 * | others | bad input, crashed, rolled back | turns red |
 */
int call(Map options = [:], String step) {
    int code = ended(options, step)
    env.SLIPWAY_CODE = "${code}"
    return mapped(step, code)
}

/** Let the build end as a step did. */
int mapped(String step, int code) {
    if (code == 3) {
        unstable "${step}: rejected; its report says why"
    } else if (code == 4) {
        unstable "${step}: not enough evidence; a person decides"
    } else if (code == 5) {
        error "${step}: unavailable, three times"
    } else if (code == 7) {
        page "${step}: NOT RESTORED, the state is unknown"
        error "${step}: not restored"
    } else if (code != 0) {
        error "${step}: ${code == 6 ? 'rolled back: the former release is live again' : 'failed with code ' + code}"
    }
    return code
}

/** Run a step and return its code, whatever it is; a silent engine, registry or remote gets two more tries. */
int ended(Map options = [:], String step) {
    return tried(options, step, '.venv/bin/python -m "steps.$SLIPWAY_STEP"')
}

/** Run a step that prints one line, and return that; it ends as `slipway` does. */
String told(Map options = [:], String step) {
    mapped(step, tried(options, step, 'mkdir -p .slipway && .venv/bin/python -m "steps.$SLIPWAY_STEP" > .slipway/told'))
    return readFile('.slipway/told').trim()
}

/** The projects that this build is about, by name; a stage that has none left does not run. */
List<String> projects() {
    return (env.SLIPWAY_PROJECTS ?: '').tokenize()
}

/** Is this a build of the branch from which releases are made, and of nobody's pull request? */
boolean releasing() {
    return env.CHANGE_ID == null && (env.BRANCH_NAME == null || env.BRANCH_NAME == (env.SLIPWAY_MAIN_BRANCH ?: 'main'))
}

private int tried(Map options, String step, String script) {
    int code = 5
    for (int attempt = 0; code == 5 && attempt < 3; attempt++) {
        if (attempt > 0) {
            sleep time: 30 * attempt, unit: 'SECONDS'
        }
        withCredentials(bindings()) {
            withEnv(variables(options, step)) {
                code = sh(label: step, returnStatus: true, script: script)
            }
        }
    }
    return code
}

private void page(String text) {
    if (env.SLIPWAY_ON_CALL) {
        mail to: env.SLIPWAY_ON_CALL, subject: "${env.JOB_NAME} #${env.BUILD_NUMBER}: ${text}", body: "${env.BUILD_URL}"
    }
    echo "PAGE: ${text}"
}

private List<String> variables(Map options, String step) {
    if (!(step ==~ /[a-z_]+/)) {
        error "${step}: no step"
    }
    List<String> found = ["SLIPWAY_STEP=${step}"]
    if (asker()) {
        found << "BUILD_USER_ID=${asker()}".toString()
    }
    for (option in options) {
        if (option.value != null && option.value != '') {
            found << "SLIPWAY_${step.toUpperCase()}_${option.key.toUpperCase()}=${option.value}".toString()
        }
    }
    return found
}

/** Who pressed the button, by Jenkins's own record: the ledger remembers it, and four eyes are of two people. */
private String asker() {
    List causes = currentBuild.getBuildCauses('hudson.model.Cause$UserIdCause')
    return causes ? causes[0].userId : null
}

/** Secrets come by id, and only those that the controller names: none in a pull request from a fork. */
private List bindings() {
    List found = []
    if (env.CHANGE_FORK) {
        return found
    }
    if (env.SLIPWAY_SIGNING_CREDENTIALS) {
        found << string(credentialsId: env.SLIPWAY_SIGNING_CREDENTIALS, variable: 'SLIPWAY_SIGNING_KEY')
    }
    if (env.SLIPWAY_COLLECTOR_CREDENTIALS) {
        found << string(credentialsId: env.SLIPWAY_COLLECTOR_CREDENTIALS, variable: 'SLIPWAY_COLLECTOR_TOKEN')
    }
    if (env.SLIPWAY_SENDERS_CREDENTIALS) {
        found << file(credentialsId: env.SLIPWAY_SENDERS_CREDENTIALS, variable: 'COLLECTOR_TOKENS')
    }
    if (env.SLIPWAY_REGISTRY_CREDENTIALS) {
        found << usernamePassword(credentialsId: env.SLIPWAY_REGISTRY_CREDENTIALS,
            usernameVariable: 'SLIPWAY_REGISTRY_USERNAME', passwordVariable: 'SLIPWAY_REGISTRY_PASSWORD')
    }
    if (env.SLIPWAY_REMOTE_CREDENTIALS) {
        found << usernamePassword(credentialsId: env.SLIPWAY_REMOTE_CREDENTIALS,
            usernameVariable: 'AWS_ACCESS_KEY_ID', passwordVariable: 'AWS_SECRET_ACCESS_KEY')
    }
    if (env.SLIPWAY_GIT_CREDENTIALS) {
        found << gitUsernamePassword(credentialsId: env.SLIPWAY_GIT_CREDENTIALS, gitToolName: 'Default')
    }
    return found
}
