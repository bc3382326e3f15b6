import type { Compiled } from './compile.ts'

/** What the benchmark knows about a server under measurement. */
export interface Peer {
  /** Short, for tables and the result file. */
  name: string
  title: string
  port: number
  /** The processes that were started for it; everything they start belongs to it too. */
  pids: number[]
  /** `ours`, a `cgi` server that ours is compared with, or the `ceiling`: the same bytes as a static file. */
  role: 'ours' | 'cgi' | 'ceiling'
  /** Whether the kernel adds the time of ended children to its processes'; not so where they ignore SIGCHLD. */
  countsChildren: boolean
}

/** Where everything of one run is. */
export interface Site {
  /** Temporary, removed at the end. */
  folder: string
  /** Where the repositories are. */
  root: string
  /** `git-http-backend`. */
  backend: string
  cores: number
  compiled: Compiled
  /** The environment of every server, the same for all. */
  env: Record<string, string>
}

/** A program that is not installed: the peer is left out. */
export class Absent extends Error {}
