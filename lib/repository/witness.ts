import { opendirSync, readFileSync, statSync, type BigIntStats } from 'node:fs'
import { setImmediate as nextIteration } from 'node:timers/promises'

/**
 * Two changes within one step of a file system's clock leave the same times behind. Within this many milliseconds a
 * file is compared by its content as well; it covers the coarsest clock there is (FAT, 2 s).
 */
const RACY_WINDOW = 2_500
/** Content up to this size is compared; a larger file counts as changed while it is that young. */
const MAX_CONTENT = 65_536
/** Milliseconds that looking at files may keep the event loop from other work. */
const SLICE = 1
/** Fine file system clocks step by a kernel's tick, at most 10 ms. The times of coarser ones are whole milliseconds. */
const FINE_STEP = 20
const WHOLE = 1_000_000n
/** Files looked at between two looks at the clock. */
const BATCH = 16
/** A wall clock that drifts from the monotonic one by more than this since the last look was set, in milliseconds. */
const CLOCK_STEP = 500

/** `content`: everything about a file or folder. `identity`: only that it is still the same one. */
export type Interest = 'content' | 'identity'

interface Sighting {
  path: string
  interest: Interest
  /** undefined: missing. */
  stats: BigIntStats | undefined
  /** A file's bytes, a folder's names, null for what is too large. */
  content: string | null
  /** Monotonic time at which these stats were first seen. */
  since: number
  /** No change can hide behind these stats any more. */
  settled: boolean
}

/**
 * What files and folders looked like, for finding out whether anybody has changed them: no watcher, no time to live, just
 * a look at each. Synchronous calls in short slices, because a stat takes 1.5 us and its way through the thread pool 27 us (measured).
 */
export class Witness {
  readonly #sightings: Map<string, Sighting>
  #drift: number = clockDrift()

  private constructor (sightings: Map<string, Sighting>) {
    this.#sightings = sightings
  }

  /**
   * Looks at `paths`. `previous` is what was known of them: since when a file has looked as it does is carried over.
   */
  static async take (paths: Iterable<readonly [string, Interest]>, previous?: Witness): Promise<Witness> {
    const sightings = new Map<string, Sighting>()
    const pause = slicer()
    for (const [path, interest] of paths) {
      if (pause.due()) await nextIteration()
      const stats = look(path)
      const before = previous === undefined ? undefined : previous.#sightings.get(path)
      const since = before !== undefined && sameStats(before.stats, stats) ? before.since : performance.now()
      const sighting: Sighting = { path, interest, stats, content: interest === 'content' ? await readContent(path, stats, pause) : '', since, settled: interest === 'identity' }
      sighting.settled ||= isSettled(sighting)
      sightings.set(path, sighting)
    }
    return new Witness(sightings)
  }

  get size (): number {
    return this.#sightings.size
  }

  /** True when `path` was there. */
  has (path: string): boolean {
    return this.#sightings.get(path)?.stats !== undefined
  }

  /** A file's bytes as latin1; empty when it was missing or too large. */
  contentOf (path: string): string {
    return this.#sightings.get(path)?.content ?? ''
  }

  /** True when `path` was a folder. */
  isFolder (path: string): boolean {
    return this.#sightings.get(path)?.stats?.isDirectory() === true
  }

  /** True when no change from now on can leave the times of any of these files as they were seen. */
  isQuiet (): boolean {
    const now = Date.now()
    for (const { interest, stats, settled } of this.#sightings.values()) {
      if (interest === 'identity' || settled || stats === undefined) continue
      const step = stats.ctimeNs % WHOLE === 0n ? RACY_WINDOW : FINE_STEP
      if (now - Number(stats.ctimeMs) < step) return false
    }
    return true
  }

  /** True when everything is as it was. */
  async unchanged (): Promise<boolean> {
    const stepped = this.#clockStepped()
    const pause = slicer()
    for (const sighting of this.#sightings.values()) {
      if (pause.due()) await nextIteration()
      if (stepped && sighting.interest === 'content') Object.assign(sighting, { since: performance.now(), settled: false })
      const same = isAsSeen(sighting)
      if (same === false || (same === 'look closer' && !await hasSameContent(sighting, pause))) return false
    }
    return true
  }

  /** After the clock was set back, a change may get the very time that an older one had. */
  #clockStepped (): boolean {
    const drift = clockDrift()
    const stepped = Math.abs(drift - this.#drift) > CLOCK_STEP
    this.#drift = drift
    return stepped
  }
}

function isAsSeen ({ path, interest, stats, settled }: Sighting): boolean | 'look closer' {
  const now = look(path)
  if (interest === 'identity') return now?.ino === stats?.ino && now?.dev === stats?.dev && now?.mode === stats?.mode
  if (!sameStats(stats, now)) return false
  return now === undefined || (settled && !isYoung(now)) || 'look closer'
}

async function hasSameContent (sighting: Sighting, pause: Slicer): Promise<boolean> {
  const { path, stats, content } = sighting
  if (content === null || await readContent(path, stats, pause) !== content) return false
  sighting.settled = isSettled(sighting)
  return true
}

function isSettled ({ stats, since }: Sighting): boolean {
  if (stats === undefined) return true
  // First seen by our own monotonic clock, because a file server's clock may be another one.
  return !isYoung(stats) && performance.now() - since > RACY_WINDOW
}

function isYoung (stats: BigIntStats): boolean {
  // A time in the future counts as young as well.
  return Date.now() - Number(stats.ctimeMs) < RACY_WINDOW
}

function sameStats (a: BigIntStats | undefined, b: BigIntStats | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.size === b.size && a.ino === b.ino && a.dev === b.dev && a.mode === b.mode
}

function look (path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    // What may not be looked at is as good as missing: git cannot look at it either.
    return undefined
  }
}

async function readContent (path: string, stats: BigIntStats | undefined, pause: Slicer): Promise<string | null> {
  if (stats === undefined) return ''
  try {
    if (stats.isDirectory()) return (await readNames(path, pause)).join('\0')
    return stats.size > MAX_CONTENT || !stats.isFile() ? null : readFileSync(path, 'latin1')
  } catch {
    return null
  }
}

/** In the order of the folder, which changes at most when the folder does; a slice at a time, because there may be thousands. */
async function readNames (path: string, pause: Slicer): Promise<string[]> {
  const names: string[] = []
  const folder = opendirSync(path, { bufferSize: 128 })
  try {
    for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
      names.push(entry.name)
      if (pause.due()) await nextIteration()
    }
  } finally {
    folder.closeSync()
  }
  return names
}

function clockDrift (): number {
  return Date.now() - performance.now()
}

/** Tells when the event loop should have a turn. */
interface Slicer {
  due: () => boolean
}

export function slicer (): Slicer {
  let count = 0
  let started = performance.now()
  return {
    due: () => {
      if (++count % BATCH !== 0 || performance.now() - started < SLICE) return false
      started = performance.now()
      return true
    }
  }
}
