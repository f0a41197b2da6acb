/**
 * Keep what the steps reported, and the evidence of verdicts (`steps.verify --replay`), and say it in one line; in
 * `post { always }` of a stage that has an agent.
 */
void call() {
    if (!fileExists('.venv/bin/python')) {
        return  // the set-up itself failed: there is nothing to keep, and the log says why
    }
    currentBuild.description = slipway.told('describe')
    junit testResults: 'reports/**/*.xml', allowEmptyResults: false, skipMarkingBuildUnstable: true
    archiveArtifacts artifacts: 'reports/**,.slipway/evidence/**', fingerprint: true
    publishHTML reportDir: 'reports', reportFiles: '**/*.html', reportName: 'Slipway', keepAll: true,
        alwaysLinkToLastBuild: true, allowMissing: false
}
