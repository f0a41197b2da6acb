/** Get the sources and a ready .venv, without reports of a former build; seconds where the agent has a cache. */
void call() {
    checkout scm
    dir('reports') {
        deleteDir()
    }
    sh label: 'set-up', script: 'make dev'
}
