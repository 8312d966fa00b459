/** Contract 002, what became of one artifact in a run. */
export type ArtifactResult = 'SUCCESS' | 'SKIPPED' | 'UNCHANGED' | 'CONFLICT' | 'FAILED'

/** What the layers below the edges count. Cheap enough for every batch; kept by `http/metrics.ts` for Prometheus. */
export interface Metrics {
  runEnded(status: 'SUCCESS' | 'FAILED'): void
  artifacts(result: ArtifactResult, count: number): void
  /** Bytes of blobs sent to other clusters, as they leave. */
  replicatedBytes(count: number): void
  /** Bytes of contents that other clusters sent here. */
  syncReceivedBytes(count: number): void
  /** Those among them that were durable here already: sending them was of no use. */
  syncRedundantBytes(count: number): void
}
