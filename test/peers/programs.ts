import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gitEnvironment } from '../fixtures/git.ts'

/** Debian keeps servers where an ordinary user's PATH does not lead. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']

export interface Result {
  code: number | null
  stdout: string
  stderr: string
}

/** The absolute path of a program; fails with the name of the package that brings it. */
export async function findProgram (name: string, debianPackage: string): Promise<string> {
  for (const folder of FOLDERS) {
    const path = join(folder, name)
    if (folder !== '' && await access(path, constants.X_OK).then(() => true, () => false)) return path
  }
  throw new Error(`${name} is missing: install the Debian package ${debianPackage} (.ci/install-peers does)`)
}

/** Runs a program to its end, without any setting of this machine. */
export async function run (program: string, args: string[], { input = '', env = {} }: { input?: string | Buffer, env?: Record<string, string> } = {}): Promise<Result> {
  const child = spawn(program, args, { cwd: '/', env: gitEnvironment(env) })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [stdout, stderr, [code]] = await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, 'close')])
  return { code, stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') }
}

/** Debian's own Python, the one that sees Debian's Python packages. */
const PYTHON = '/usr/bin/python3'

/** A function that runs `script` beside this file; fails when `module` is not there, naming the package that brings it. */
export async function pythonClient (script: string, module: string, debianPackage: string): Promise<(...args: string[]) => Promise<Result>> {
  const { code, stderr } = await run(PYTHON, ['-c', `import ${module}`]).catch((error: Error) => ({ code: null, stderr: error.message }))
  if (code !== 0) throw new Error(`python's ${module} is missing: install the Debian package ${debianPackage} (.ci/install-peers does)\n${stderr}`)
  const path = join(import.meta.dirname, script)
  return async (...args) => await run(PYTHON, ['-B', path, ...args])
}
