/**
 * How far a fetch request was read.
 *
 * - `incomplete`: it goes on, as far as is known.
 * - `complete`: all of it was understood, and it ended where it should.
 * - `unknown`: packet lines, but something among them is not understood here. No error: git may understand it.
 * - `malformed`: what no client sends and git dies of; `reason` is short, lower case and free of the client's words.
 * - `too-large`: longer than the parser's limit, or there is more in it than the parser keeps.
 */
export type ParseState =
  | { readonly state: 'incomplete' | 'complete' | 'unknown' | 'too-large' }
  | { readonly state: 'malformed', readonly reason: string }

export const INCOMPLETE: ParseState = { state: 'incomplete' }
export const COMPLETE: ParseState = { state: 'complete' }
export const UNKNOWN: ParseState = { state: 'unknown' }
export const TOO_LARGE: ParseState = { state: 'too-large' }

export function malformed (reason: string): ParseState {
  return { state: 'malformed', reason }
}
