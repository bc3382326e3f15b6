import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ForkOptions } from 'node:child_process'

/** MiB. A small process is started from quickly; the helper needs about 5. */
const HEAP = ['--max-old-space-size=32', '--max-semi-space-size=1']
/** Options of node, with a value, that may be what makes it read TypeScript. */
const LOADERS = ['--import', '--require', '-r', '--loader', '--experimental-loader', '--conditions', '-C']
/** The same without a value. */
const SWITCHES = ['--experimental-strip-types', '--experimental-transform-types', '--no-warnings']

/**
 * How the helper is started. As JavaScript it needs none of the server's options: a debugger's port, a test runner or
 * whatever is preloaded to watch the server would only make it large. As TypeScript it needs the loader.
 */
export function helperCommand (): { file: string, options: ForkOptions } {
  const extension = extname(import.meta.url)
  const development = extension === '.ts'
  const loaders = (options: string[]): string[] => development ? loaderOptions(options) : []
  const env = { ...process.env, NODE_OPTIONS: loaders((process.env['NODE_OPTIONS'] ?? '').split(' ')).join(' ') }
  return {
    file: fileURLToPath(new URL(`./spawner-process${extension}`, import.meta.url)),
    options: {
      env,
      execArgv: [...loaders(process.execArgv), ...HEAP],
      // Relative loaders count from here; otherwise a helper need not hold on to the server's folder.
      cwd: development ? process.cwd() : '/',
      // Neither Ctrl-C nor the end of a terminal is for the helper: the server decides.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc']
    }
  }
}

/** Those of node's options that load loaders. */
export function loaderOptions (options: string[]): string[] {
  return options.flatMap((option, i) => {
    if (SWITCHES.includes(option) || LOADERS.some((name) => option.startsWith(`${name}=`))) return [option]
    return LOADERS.includes(option) ? [option, options[i + 1] ?? ''] : []
  })
}
