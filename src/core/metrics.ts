/** Contract 002, what became of one artifact in a run. */
export type ArtifactResult = 'SUCCESS' | 'SKIPPED' | 'UNCHANGED' | 'CONFLICT' | 'FAILED'

/** What the layers below the edges count. Cheap enough for every batch; kept by `http/metrics.ts` for Prometheus. */
export interface Metrics {
  runEnded(status: 'SUCCESS' | 'FAILED'): void
  artifacts(result: ArtifactResult, count: number): void
  /** Bytes of blobs sent to other clusters, as they leave. */
  replicatedBytes(count: number): void
}
