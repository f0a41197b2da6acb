/** Get the sources and a ready .venv on a new agent; seconds where the agent has a cache. */
void call() {
    checkout scm
    sh label: 'set-up', script: 'make dev'
}
