/** How a step or a build ends other than well. */
class StepFailed extends RuntimeException {
    String result = 'FAILURE'

    StepFailed(String message, String result = 'FAILURE') {
        super(message)
        this.result = result
    }
}

/** The pipeline uses something that the harness does not know, or uses it wrongly: the test fails, whatever the build says. */
class Refused extends Error {
    Refused(String message) { super(message) }
}
