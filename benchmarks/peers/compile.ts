import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, readFile, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { track } from './daemon.ts'

const CHECKOUT = resolve(import.meta.dirname, '../..')

/** How the servers that are written in TypeScript are started. */
export interface Compiled {
  /** What was done, for the result file. */
  build: string
  /** Node's arguments for a script in this folder. */
  args (script: string): string[]
}

/**
 * Compiles the plugin and the servers into the run's folder: they run as users run them, and neither a stale nor a half-written
 * `dist` is measured. If they do not compile, they run from their sources.
 */
export async function compile (folder: string): Promise<Compiled> {
  const base = JSON.parse(await readFile(join(CHECKOUT, 'tsconfig.json'), 'utf8')) as { compilerOptions: object }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      ...base.compilerOptions,
      rootDir: CHECKOUT,
      outDir: join(folder, 'built'),
      typeRoots: [join(CHECKOUT, 'node_modules/@types')],
      declaration: false,
      isolatedDeclarations: false,
      sourceMap: false,
      noEmitOnError: true
    },
    include: [join(CHECKOUT, 'lib'), join(import.meta.dirname, 'ours-server.ts'), join(import.meta.dirname, 'node-cgi.ts')]
  }))
  await copyFile(join(CHECKOUT, 'package.json'), join(folder, 'package.json'))
  await symlink(join(CHECKOUT, 'node_modules'), join(folder, 'node_modules'))
  const child = spawn(process.execPath, [join(CHECKOUT, 'node_modules/typescript/bin/tsc'), '-p', folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  track(child)
  let output = ''
  child.stdout.on('data', (chunk) => { output += String(chunk) })
  const [code] = await once(child, 'close') as [number]
  if (code === 0) return { build: 'compiled from the sources for this run', args: (script) => [join(folder, 'built/benchmarks/peers', `${script}.js`)] }
  return {
    build: `sources through tsx, because they do not compile: ${output.split('\n')[0]}`,
    args: (script) => ['--import', import.meta.resolve('tsx'), join(import.meta.dirname, `${script}.ts`)]
  }
}
