import type { OperationStatus, StatusSnapshot, StatusSource } from '../../lib/web/index.ts'

/** A server's figures, which the test changes. */
export class FakeSource implements StatusSource {
  snapshots = 0
  readonly figures: StatusSnapshot = {
    operations: [],
    totals: { operations: 1_204, failed: 3, bytesIn: 5_300_000, bytesOut: 9_800_000_000 },
    caches: [{ name: 'Answers in memory', hits: 90_412, misses: 1_310, bytes: 18_400_000, maxBytes: 67_108_864 }],
    git: { running: 2, queued: 0 }
  }

  snapshot (): StatusSnapshot {
    this.snapshots++
    return structuredClone(this.figures)
  }

  /** Begins an operation. */
  begin (operation: Partial<OperationStatus> & { repository: string }): OperationStatus {
    const begun: OperationStatus = {
      id: String(this.figures.operations.length + 1),
      service: 'upload-pack',
      user: null,
      startedAt: Date.now(),
      bytesIn: 0,
      bytesOut: 0,
      phase: 'sending',
      cache: 'miss',
      ...operation
    }
    this.figures.operations.push(begun)
    return begun
  }
}
