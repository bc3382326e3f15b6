const watched = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `act` when `signal` is aborted, with one listener for all who watch the same signal: Node takes more than ten for a
 * leak. Answers what ends the watch; the last to end it takes the listener away.
 */
export function onceLeft (signal: AbortSignal, act: () => void): () => void {
  const acts = watched.get(signal) ?? watch(signal)
  acts.add(act)
  return () => {
    if (acts.delete(act) && acts.size === 0) unwatch(signal)
  }
}

function watch (signal: AbortSignal): Set<() => void> {
  const acts = new Set<() => void>()
  watched.set(signal, acts)
  signal.addEventListener('abort', leave)
  return acts
}

function unwatch (signal: AbortSignal): void {
  watched.delete(signal)
  signal.removeEventListener('abort', leave)
}

function leave (this: AbortSignal): void {
  for (const act of [...watched.get(this) ?? []]) act()
}
