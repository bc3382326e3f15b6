/**
 * What any git HTTP server does: discovery, shallow and full clones, and pushes to a branch of their own where that is asked for.
 *
 *     npm run bench:deployment -- --url https://host/repo.git --clones 64 [--push] [--output FOLDER]
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parse, View } from 'vega'
import { drawing } from './chart-drawing.ts'
import { checkTarget } from './deployment-check.ts'
import { measureClones, measureDiscovery, measurePushes, readTarget, type Measured, type OnProgress } from './deployment-measure.ts'
import { deploymentChart, deploymentTable } from './deployment-report.ts'
import { describeMachine } from './machine.ts'

const USAGE = 'npm run bench:deployment -- --url URL [--clones 64] [--discoveries 2000] [--push] [--pushes 10] [--output FOLDER]'
const BAR = 30

function readNumber (name: string, text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new TypeError(`--${name} must be a whole number from 1`)
  return Number(text)
}

/** A bar on a terminal, a line at the end elsewhere. */
function progress (title: string): OnProgress {
  return (done, of) => {
    const full = Math.round(BAR * done / of)
    if (process.stderr.isTTY) process.stderr.write(`\r${title.padEnd(18)} ${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${done}/${of}${done === of ? '\n' : ''}`)
    else if (done === of) process.stderr.write(`${title}: ${done}\n`)
  }
}

/** 2 for a wrong command line, 1 for everything that is wrong elsewhere. */
let exitCode = 2

try {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      clones: { type: 'string', default: '64' },
      discoveries: { type: 'string', default: '2000' },
      push: { type: 'boolean', default: false },
      pushes: { type: 'string', default: '10' },
      output: { type: 'string' }
    }
  })
  if (values.url === undefined) throw new TypeError(`--url is missing\n${USAGE}`)
  const target = readTarget(values.url)
  const [clones, discoveries, pushes] = (['clones', 'discoveries', 'pushes'] as const).map((name) => readNumber(name, values[name])) as [number, number, number]
  const output = resolve(values.output ?? join('deployments', `${new URL(target.url).hostname}-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}`))
  exitCode = 1
  await checkTarget(target, values.push)
  const scratch = await mkdtemp(join(tmpdir(), 'git-deployment-'))
  const measured: Measured[] = []
  try {
    measured.push(await measureDiscovery(target, discoveries, progress('discoveries')))
    measured.push(await measureClones(target, scratch, clones, true, progress('shallow clones')))
    measured.push(await measureClones(target, scratch, clones, false, progress('full clones')))
    if (values.push) measured.push(await measurePushes(target, scratch, pushes, progress('pushes')))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  const result = { url: target.url, machine: describeMachine(), measured }
  const table = deploymentTable(result)
  await mkdir(output, { recursive: true })
  await writeFile(join(output, 'deployment.json'), `${JSON.stringify(result, null, 2)}\n`)
  await writeFile(join(output, 'deployment.md'), table)
  await writeFile(join(output, 'deployment.svg'), await new View(parse(drawing(deploymentChart(result))), { renderer: 'none' }).toSVG())
  process.stdout.write(`${table}\nWritten to ${output}\n`)
  if (measured.some(({ failed }) => failed > 0)) process.exitCode = 1
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = exitCode
}
