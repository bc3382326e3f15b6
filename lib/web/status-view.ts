import { cut, formatBytes, formatDuration } from './format.ts'
import type { Links } from './site.ts'
import type { OperationStatus, StatusSnapshot } from './status-source.ts'

/** Operations on one page. */
const MAX_OPERATIONS = 100

/** Bytes a second. */
export interface Rates {
  in: number
  out: number
}

/** A snapshot as one visitor sees it, ready to be shown. */
export interface StatusView {
  /** Texts by the name of their place. */
  figures: Record<string, string>
  /** Heights of the curves. */
  samples: { out: number, in: number, operations: number, git: number }
  operations: Array<{ repository: string, href: string, cells: string[] }>
  caches: Array<{ name: string, cells: string[] }>
}

/** `operations`: those that the visitor may see. */
export function statusView (snapshot: StatusSnapshot, rates: Rates, operations: OperationStatus[], user: string | null, links: Links): StatusView {
  const { totals, caches, git } = snapshot
  const now = Date.now()
  const shown = [...operations].sort((a, b) => a.startedAt - b.startedAt).slice(0, MAX_OPERATIONS)
  return {
    figures: {
      out: `${formatBytes(rates.out)}/s`,
      in: `${formatBytes(rates.in)}/s`,
      operations: formatCount(snapshot.operations.length),
      git: formatCount(git.running),
      queued: formatCount(git.queued),
      ended: formatCount(totals.operations),
      failed: formatCount(totals.failed),
      sent: formatBytes(totals.bytesOut),
      received: formatBytes(totals.bytesIn)
    },
    samples: { out: rates.out, in: rates.in, operations: snapshot.operations.length, git: git.running },
    operations: shown.map((operation) => ({
      repository: operation.repository,
      href: links.repository(operation.repository),
      cells: [
        operation.service,
        // Who else is here is nobody's business who does not say who they are.
        user === null ? '–' : cut(operation.user ?? 'anonymous', 40),
        cut(operation.phase, 40),
        operation.cache ?? '–',
        formatBytes(operation.bytesIn),
        formatBytes(operation.bytesOut),
        formatDuration(now - operation.startedAt)
      ]
    })),
    caches: caches.map(({ name, hits, misses, bytes, maxBytes }) => ({
      name,
      cells: [
        hits + misses === 0 ? '–' : `${Math.floor(100 * hits / (hits + misses))} %`,
        formatCount(hits),
        formatCount(misses),
        maxBytes === null ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(maxBytes)}`
      ]
    }))
  }
}

function formatCount (count: number): string {
  return count.toLocaleString('en')
}
