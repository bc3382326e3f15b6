#!/usr/bin/env node
/** The command `fastify-git-http`: serves the repositories of a folder. `--help` tells what it can do. */
import { realpath } from 'node:fs/promises'
import { announcement, isLoopback } from './lib/command/announce.ts'
import { readArguments, usage, type ServeSettings } from './lib/command/arguments.ts'
import { toFailure } from './lib/command/failure.ts'
import { listen } from './lib/command/listen.ts'
import { createLog } from './lib/command/log.ts'
import { passwordLine } from './lib/command/passwd.ts'
import { createApp } from './lib/command/server.ts'
import { stopOnSignals } from './lib/command/shutdown.ts'
import { packageVersion, requireGit } from './lib/command/version.ts'
import { findRepositories } from './lib/repository/find.ts'

/** Milliseconds that the search for repositories may delay the announcement. */
const SEARCH = 3_000

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

async function serve (settings: ServeSettings): Promise<void> {
  await requireGit()
  const app = await createApp(settings, createLog(settings.logLevel, process.stderr.isTTY))
  const port = await listen(app, settings.port, settings.host)
  stopOnSignals(app)
  if (settings.allowPush && !isLoopback(settings.host)) {
    app.log.warn(`--allow-push: whoever reaches port ${port} of this machine can change every repository, without a password`)
  }
  const root = await realpath(settings.root)
  const found = await findRepositories(root, { signal: AbortSignal.timeout(SEARCH) })
  process.stdout.write(announcement({ ...settings, root, port, tls: settings.tls !== undefined }, found))
}
