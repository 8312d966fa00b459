/** Distribution to registries of others (docs/design/distribution.md). */
export interface DistributionTables {
  pushed_version: PushedVersionTable
  pushed_upload: PushedUploadTable
}

/** What a registry has of ours, as it acknowledged. */
interface PushedVersionTable {
  link_id: number
  /** Of the version, among those of the change log (`versionPath`). */
  path: string
  /** Version (tag) that it has over there. */
  target: string
  /** Of its main file when it was sent. */
  digest: string
  pushed_at: number
}

/** How far the upload of a large content to a registry got. */
interface PushedUploadTable {
  cluster_id: string
  /** As it is called over there. */
  repository: string
  /** `sha256:…` */
  content: string
  /** URL; it may hold a signature. */
  location: string
  /** Bytes that the registry has. */
  taken: number
  at: number
}
