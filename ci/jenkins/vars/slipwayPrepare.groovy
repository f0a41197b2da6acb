/** Get the sources and a ready .venv, without reports of a former build; seconds where the agent has a cache. */
void call() {
    Map found = checkout scm
    env.SLIPWAY_BUILT = found?.GIT_PREVIOUS_SUCCESSFUL_COMMIT ?: ''
    dir('reports') {
        deleteDir()
    }
    sh label: 'set-up', script: 'make dev'
}
