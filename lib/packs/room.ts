/** How one of several processes keeps the bound of a folder, which it only knows when it looks. All in bytes. */
export interface Room {
  /** What it may take before it looks what others took. */
  step: number
  /** What there may be when it looks. */
  most: number
  /** What is left when there was more. */
  enough: number
}

/**
 * Room is left for what others take unseen: a sixteenth for all together, even while workers are replaced and there are twice as
 * many. With others, small answers are here as well, so that not every write may look at all of them.
 */
export function roomFor (maxBytes: number, processes: number): Room {
  if (processes === 1) return { step: maxBytes / 16, most: maxBytes, enough: maxBytes }
  return { step: maxBytes / (32 * processes), most: maxBytes * 15 / 16, enough: maxBytes * 14 / 16 }
}
