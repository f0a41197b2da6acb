/** Find out which projects have something new to release; says so in the description if none has. */
void call() {
    env.SLIPWAY_PROJECTS = slipway.told('changed')
    if (!env.SLIPWAY_PROJECTS) {
        echo 'nothing to release: every bundle was released before'
    }
}
