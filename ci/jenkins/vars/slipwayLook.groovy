/**
 * Find out whether this build is about anything but data that were published: only a commit that says so is asked about.
 *
 * What the last successful build was of, `slipwayPrepare` knows from the checkout; where it does not, there is news.
 */
void call() {
    env.SLIPWAY_NEWS = 'yes'
    if (sh(label: 'published data?', returnStatus: true, script: 'git log -1 --format=%B | grep -q "^Slipway-Data: "') == 0) {
        env.SLIPWAY_NEWS = slipway.told('changed', since: env.SLIPWAY_BUILT ?: 'nothing') ? 'yes' : 'no'
    }
    if (env.SLIPWAY_NEWS == 'no') {
        currentBuild.description = 'published data only: nothing to build'
    }
}
