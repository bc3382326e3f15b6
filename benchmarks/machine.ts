import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { dirname } from 'node:path'

/** What a figure means nothing without. */
export function describeMachine (): Record<string, string | number> {
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    git: execFileSync('git', ['version'], { encoding: 'utf8' }).trim()
  }
}

/** Writes a committed result file beside the benchmarks. */
export function writeResult (name: string, result: object): void {
  const file = new URL(`results/${name}.json`, import.meta.url)
  mkdirSync(dirname(file.pathname), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ machine: describeMachine(), ...result }, null, 2)}\n`)
}

/**
 * The same list in another order each time, so that whatever one leaves behind for the next is shared by all: in as many turns as
 * there are members, each comes at each place once, and where they are an even number, right after each other one once (a Williams design).
 */
export function balanced<T> (list: readonly T[], turn: number): T[] {
  return list.map((_, place) => list[(turn + (place % 2 === 0 ? place / 2 : list.length - (place + 1) / 2)) % list.length] as T)
}

export function median (values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] as number : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}
