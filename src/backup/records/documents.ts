/**
 * Records as they lie in a backup, one JSON object a line (backup.md 3). Names are the reference's where it has the field; dates are
 * ISO 8601 in UTC (`…Z`); without a zone, as the reference writes them, they are read in the server's. `sha256` is hex.
 */
export interface Authored {
  readonly createdBy: string
  readonly createdDate: string
  readonly lastModifiedBy: string
  readonly lastModifiedDate: string
}
export interface MetadataDocument {
  readonly key: string
  readonly value: unknown
  readonly system?: boolean
  readonly description?: string | null
  readonly link?: string | null
  readonly color?: string | null
}

export interface ProjectDocument extends Authored {
  readonly name: string
  readonly displayName: string
  readonly description: string
  readonly metadata: readonly MetadataDocument[]
}

export interface RepositoryDocument extends Authored {
  readonly projectId: string
  readonly name: string
  readonly type: string
  readonly category: string
  readonly public: boolean
  readonly description: string | null
  readonly displayName: string | null
  /** Shows `******` where a password is. */
  readonly configuration: Readonly<Record<string, unknown>>
  /** Those passwords by slot (`proxy_secret`), sealed (`SecretCarrier`, place `passwordPlace`); missing: there is none, or the reference made it. */
  readonly secrets?: Readonly<Record<string, string>>
  /** Bytes. */
  readonly quota: number | null
  readonly used: number
  readonly display: boolean
  readonly owner: string | null
  readonly visibility: string | null
}

export interface NodeDocument extends Authored {
  readonly projectId: string
  readonly repoName: string
  readonly folder: boolean
  /** Of its folder, with `/` at both ends. */
  readonly path: string
  readonly name: string
  readonly fullPath: string
  readonly size: number
  /** Null of folders. */
  readonly sha256: string | null
  readonly md5: string | null
  readonly crc64ecma: string | null
  readonly metadata: readonly MetadataDocument[]
  readonly expireDate: string | null
  readonly lastAccessDate: string | null
}

export interface PackageDocument extends Authored {
  readonly projectId: string
  readonly repoName: string
  readonly key: string
  readonly name: string
  readonly description: string | null
  readonly latest: string
  readonly versions: number
  readonly downloads: number
  readonly versionTag: Readonly<Record<string, string>>
  readonly extension: Readonly<Record<string, unknown>>
}

export interface VersionDocument extends Authored {
  readonly projectId: string
  readonly repoName: string
  readonly packageKey: string
  readonly name: string
  readonly size: number
  readonly downloads: number
  readonly manifestPath: string | null
  readonly artifactPath: string
  readonly stageTag: readonly string[]
  readonly tags: readonly string[]
  readonly metadata: readonly MetadataDocument[]
  readonly extension: Readonly<Record<string, unknown>>
  /** Leaves first; missing in what the reference makes, where `artifactPath` is all there is. */
  readonly files?: readonly { readonly path: string; readonly role: string }[]
}

/** Something that was deleted since the date of an increment. */
export interface TombstoneDocument {
  readonly kind: 'NODE' | 'VERSION' | 'PACKAGE' | 'REPOSITORY'
  readonly projectId: string
  readonly repoName: string
  /** Of NODE. */
  readonly fullPath?: string
  /** Of NODE: which of both was deleted; the other one may be there since. Missing in what older servers made. */
  readonly folder?: boolean
  /** Of VERSION and PACKAGE. */
  readonly packageKey?: string
  /** Of VERSION. */
  readonly version?: string
  readonly deletedBy: string
  readonly deletedDate: string
}

/** A line of `errors.json`: what is missing from the run, and why. */
export interface ErrorDocument {
  readonly path: string
  readonly reason: string
}
