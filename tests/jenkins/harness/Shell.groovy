import java.util.concurrent.TimeUnit

/** Runs `sh` for real, as Jenkins does: /bin/sh -xe, an environment of its own, ended as a family. */
class Shell {
    final Runtime runtime

    Shell(Runtime runtime) { this.runtime = runtime }

    Object run(Map options) {
        String script = options.script
        File folder = runtime.workspace('sh')
        if (script.readLines().size() > 8) { throw new Refused("sh of more than 8 lines: ${script.take(80)}") }
        File file = File.createTempFile('script', '.sh')
        file.text = script
        Process process = started(file, folder)
        StringBuilder out = new StringBuilder()
        List<Thread> readers = [reader(process.inputStream, options.returnStdout ? out : null), reader(process.errorStream, null)]
        boolean aborted = !waited(process)
        readers*.join(20_000)
        file.delete()
        int code = process.exitValue()
        runtime.build.tell(kind: 'sh', stage: runtime.stage, label: options.label, script: script, code: code,
                           workspace: folder.path, step: runtime.variable('SLIPWAY_STEP'))
        if (aborted) { throw new StepFailed("script ended: ${runtime.ending}", 'ABORTED') }
        if (options.returnStatus) { return code }
        if (code != 0) { throw new StepFailed("script returned exit code ${code}") }
        options.returnStdout ? out.toString() : null
    }

    private Process started(File file, File folder) {
        ProcessBuilder builder = new ProcessBuilder('/bin/sh', '-xe', file.path)
        builder.directory(folder)
        builder.environment().clear()
        builder.environment().putAll(runtime.environment())
        builder.redirectInput(new File('/dev/null'))
        builder.start()
    }

    private Thread reader(InputStream stream, StringBuilder kept) {
        Thread.start {
            stream.eachLine('UTF-8') { line ->
                if (kept != null) { kept.append(line).append('\n') } else { runtime.build.say(line) }
                runtime.heard(line)
            }
        }
    }

    /** Wait; false if the build was aborted or a timeout passed meanwhile, and everything was ended. */
    private boolean waited(Process process) {
        while (!process.waitFor(50, TimeUnit.MILLISECONDS)) {
            if (!runtime.overdue()) { continue }
            List family = [process.toHandle(), *process.toHandle().descendants().toArray()]
            family.reverse()*.destroy()
            process.waitFor(60, TimeUnit.SECONDS)
            family.findAll { it.isAlive() }*.destroyForcibly()
            process.waitFor(5, TimeUnit.SECONDS)
            return false
        }
        true
    }
}
