import { html, type Html } from './html.ts'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
/** Seconds in each unit, the largest first. */
const PERIODS: Array<[Intl.RelativeTimeFormatUnit, number]> = [
  ['year', 31_556_952], ['month', 2_629_746], ['week', 604_800], ['day', 86_400], ['hour', 3600], ['minute', 60]
]
/** Seconds since 1970 that a date can hold (ECMA-262, "Time Values"). */
const LAST_SECOND = 8.64e12

const relative: Intl.RelativeTimeFormat = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/** A number of bytes as people read it: `0 B`, `1.5 KiB`, `23 MiB`. */
export function formatBytes (bytes: number): string {
  let value = Math.max(0, bytes)
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** How long something has run, in milliseconds: `4 s`, `2 min 5 s`, `3 h 12 min`. */
export function formatDuration (milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A point in time (seconds since 1970) as its distance from now, with the exact one behind it; null where there is none. */
export function formatDate (seconds: number | null, now: number = Date.now()): Html | null {
  if (seconds === null || !Number.isFinite(seconds) || Math.abs(seconds) > LAST_SECOND) return null
  const exact = new Date(seconds * 1000).toISOString()
  const title = `${exact.slice(0, -8).replace('T', ' ')} UTC`
  return html`<time datetime="${exact}" title="${title}">${distance(seconds - now / 1000)}</time>`
}

function distance (seconds: number): string {
  for (const [unit, length] of PERIODS) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit)
  }
  return 'just now'
}

/** At most `length` characters. What is cut ends with an ellipsis. */
export function cut (text: string, length: number): string {
  // A character takes one or two code units: nothing longer is looked at.
  const characters = [...text.slice(0, 2 * length + 2)]
  return characters.length > length ? `${characters.slice(0, length - 1).join('')}…` : text
}
