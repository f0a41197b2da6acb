// Declares every job with its parameters, so that a job's first run takes the values that it is given. A Jenkinsfile
// declares its parameters again; tests/jenkins/test_agreement.py holds both against each other.
folder('slipway') {
    description('Delivery of models: docs/reference/jenkins.md')
}

multibranchPipelineJob('slipway/delivery') {
    description('Every commit: check, reproduce, judge; on the main branch also release into staging.')
    branchSources {
        git {
            id('slipway')
            remote(SLIPWAY_REPOSITORY)
            credentialsId('slipway-git')
        }
    }
    orphanedItemStrategy {
        discardOldItems {
            daysToKeep(14)
        }
    }
}

pipelineJob('slipway/promote') {
    description('Moves a release into the next environment.')
    parameters {
        stringParam('PROJECT', 'flights', 'Which model: a folder below projects/. Or collector, the collection service.')
        stringParam('RELEASE', '', 'What to promote, such as v1.4.0. Empty: what is live in the environment below. The same bytes move; nothing is built.')
        choiceParam('ENVIRONMENT', ['production', 'staging'], 'Where to. The release must be live and verified in the environment below it.')
        stringParam('REASON', '', 'Why now; the ledger remembers it.')
        choiceParam('STRATEGY', ['as configured', 'canary', 'blue_green', 'rolling'], 'How traffic moves. The environment has its own default.')
        booleanParam('DRY_RUN', false, 'Only say what would happen, and what speaks against it.')
    }
    definition {
        cpsScm {
            scm {
                git {
                    remote {
                        url(SLIPWAY_REPOSITORY)
                        credentials('slipway-git')
                    }
                    branch('main')
                }
            }
            scriptPath('ci/jenkins/promote.Jenkinsfile')
        }
    }
}

pipelineJob('slipway/rollback') {
    description('Sends all traffic back to a release that was well.')
    parameters {
        stringParam('PROJECT', 'flights', 'Which model: a folder below projects/. Or collector, the collection service.')
        choiceParam('ENVIRONMENT', ['production', 'staging'], 'Where to go back.')
        stringParam('TO', '', 'To which release. Empty: the last one that was live and verified.')
        stringParam('REASON', '', 'Why; the ledger remembers it.')
        booleanParam('FORCE', false, 'Also to a release that was marked bad or never live there; needs a reason.')
        booleanParam('DRY_RUN', false, 'Only say where it would go.')
    }
    definition {
        cpsScm {
            scm {
                git {
                    remote {
                        url(SLIPWAY_REPOSITORY)
                        credentials('slipway-git')
                    }
                    branch('main')
                }
            }
            scriptPath('ci/jenkins/rollback.Jenkinsfile')
        }
    }
}

pipelineJob('slipway/verify') {
    description('Asks whether what runs is well; touches nothing.')
    parameters {
        stringParam('PROJECT', '', 'Which model: a folder below projects/. Or collector, the collection service. Empty: each of them.')
        choiceParam('ENVIRONMENT', ['production', 'staging'], 'Where to look. Nothing is changed.')
    }
    definition {
        cpsScm {
            scm {
                git {
                    remote {
                        url(SLIPWAY_REPOSITORY)
                        credentials('slipway-git')
                    }
                    branch('main')
                }
            }
            scriptPath('ci/jenkins/verify.Jenkinsfile')
        }
    }
}

pipelineJob('slipway/reconcile') {
    description('Puts right what a vanished runner left.')
    parameters {
        stringParam('PROJECT', '', 'Which model: a folder below projects/. Or collector, the collection service. Empty: each of them.')
        choiceParam('ENVIRONMENT', ['production', 'staging'], 'Where to put things right.')
    }
    definition {
        cpsScm {
            scm {
                git {
                    remote {
                        url(SLIPWAY_REPOSITORY)
                        credentials('slipway-git')
                    }
                    branch('main')
                }
            }
            scriptPath('ci/jenkins/reconcile.Jenkinsfile')
        }
    }
}

pipelineJob('slipway/watch') {
    description('Takes back what is no longer well, and has it learned anew if that may help.')
    parameters {
        stringParam('PROJECT', 'flights', 'Which model: a folder below projects/.')
        choiceParam('ENVIRONMENT', ['production', 'staging'], 'Where to look.')
        booleanParam('DRY_RUN', false, 'Only say what would follow.')
    }
    definition {
        cpsScm {
            scm {
                git {
                    remote {
                        url(SLIPWAY_REPOSITORY)
                        credentials('slipway-git')
                    }
                    branch('main')
                }
            }
            scriptPath('ci/jenkins/watch.Jenkinsfile')
        }
    }
}

pipelineJob('slipway/freshness') {
    description('Collects, checks and publishes data.')
    parameters {
        stringParam('PROJECT', '', 'Whose data: a folder below projects/. Empty: each of them.')
        stringParam('AS_OF', '', 'Collect rows from before this date. Empty: to the end of the newest whole period.')
        stringParam('REASON', '', 'Why now; commit and ledger remember it.')
        booleanParam('DRY_RUN', false, 'Only say what would be collected.')
    }
    definition {
        cpsScm {
            scm {
                git {
                    remote {
                        url(SLIPWAY_REPOSITORY)
                        credentials('slipway-git')
                    }
                    branch('main')
                }
            }
            scriptPath('ci/jenkins/freshness.Jenkinsfile')
        }
    }
}

pipelineJob('slipway/retrain') {
    description('Learns a model anew from the newest data.')
    parameters {
        stringParam('PROJECT', 'flights', 'Which model: a folder below projects/.')
        stringParam('AS_OF', '', 'Learn from rows before this date. Empty: today.')
        stringParam('REASON', '', 'Why; the report remembers it.')
        stringParam('REQUEST', '', 'By which steps.retrain knows its build again. Leave it empty by hand.')
    }
    definition {
        cpsScm {
            scm {
                git {
                    remote {
                        url(SLIPWAY_REPOSITORY)
                        credentials('slipway-git')
                    }
                    branch('main')
                }
            }
            scriptPath('ci/jenkins/retrain.Jenkinsfile')
        }
    }
}
