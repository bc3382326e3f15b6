#!/usr/bin/env node
/** The command `fastify-git-http`: serves the repositories of a folder. `--help` tells what it can do. */
import cluster from 'node:cluster'
import { readArguments, usage, type ServeSettings } from './lib/command/arguments.ts'
import { toFailure } from './lib/command/failure.ts'
import { passwordLine } from './lib/command/passwd.ts'
import { packageVersion, requireGit } from './lib/command/version.ts'

// Whoever reads the announcement may leave after it (`| head -1`).
process.stdout.on('error', () => {})

try {
  const command = readArguments(process.argv.slice(2))
  if (command.run === 'help') process.stdout.write(usage())
  else if (command.run === 'version') process.stdout.write(`${packageVersion()}\n`)
  else if (command.run === 'passwd') process.stdout.write(await passwordLine(command.name, process.stdin))
  else await serve(command.settings)
} catch (error) {
  const { message, exitCode } = toFailure(error)
  process.stderr.write(`fastify-git-http: ${message}\n`)
  process.exit(exitCode)
}

/** What serves is loaded when it is needed: with Fastify, it takes a fifth of a second. */
async function serve (settings: ServeSettings): Promise<void> {
  const { workers } = settings
  if (workers !== undefined && cluster.isWorker) {
    const { serveAsWorker } = await import('./lib/command/workers/worker.ts')
    return await serveAsWorker(settings, workers)
  }
  await requireGit()
  if (workers === undefined) {
    const { serveAlone } = await import('./lib/command/serve.ts')
    await serveAlone(settings)
  } else {
    const { serveWithWorkers } = await import('./lib/command/workers/index.ts')
    await serveWithWorkers(settings, workers)
  }
}
