import type { Digest } from '../../core/digest.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { NodePath } from '../../core/paths.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { RepositoryCategory } from '../../metadata/repositories/repositories.ts'
import type { TombstoneDocument } from './documents.ts'

/** Records of a backup after they were judged (`decode-records.ts`). Times are UTC epoch milliseconds. */
export interface DecodedAuthors {
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

export interface DecodedProject extends DecodedAuthors {
  readonly name: string
  readonly displayName: string
  readonly description: string
  readonly metadata: Metadata
}

export interface DecodedRepository extends DecodedAuthors {
  readonly project: string
  readonly name: string
  readonly type: RepositoryType
  readonly category: RepositoryCategory
  readonly public: boolean
  readonly description: string | null
  readonly displayName: string | null
  readonly display: boolean
  readonly owner: string | null
  readonly visibility: string | null
  readonly configuration: Readonly<Record<string, unknown>>
  /** Sealed passwords by slot. */
  readonly secrets: ReadonlyMap<string, string>
  /** Bytes; null: no limit. */
  readonly quota: number | null
}

export interface DecodedNode extends DecodedAuthors {
  readonly project: string
  readonly repo: string
  readonly path: NodePath
  readonly folder: boolean
  /** Undefined of folders only. */
  readonly digest: Digest | undefined
  readonly sizeBytes: number
  /** Hex. */
  readonly md5: string | null
  /** Unsigned decimal. */
  readonly crc64: string | null
  readonly metadata: Metadata
  readonly expiresAt: number | null
  readonly accessedAt: number | null
}

export interface DecodedPackage extends DecodedAuthors {
  readonly project: string
  readonly repo: string
  readonly key: string
  readonly name: string
  readonly description: string | null
  readonly latest: string
  readonly downloads: number
  readonly versionTag: Readonly<Record<string, string>>
  readonly extension: Readonly<Record<string, unknown>>
}

export interface DecodedVersion extends DecodedAuthors {
  readonly project: string
  readonly repo: string
  readonly packageKey: string
  readonly name: string
  readonly downloads: number
  readonly manifestPath: string | null
  readonly artifactPath: string | null
  readonly stageTags: readonly string[]
  readonly tags: readonly string[]
  readonly metadata: Metadata
  readonly extension: Readonly<Record<string, unknown>>
  /** Leaves first; undefined: the reference made it, `artifactPath` is all there is. */
  readonly files: readonly { readonly path: NodePath; readonly role: string }[] | undefined
}

export interface DecodedTombstone {
  readonly kind: TombstoneDocument['kind']
  readonly project: string
  readonly repo: string
  readonly path: NodePath | undefined
  /** Whether a folder was deleted; undefined: nobody said. */
  readonly folder: boolean | undefined
  readonly packageKey: string | undefined
  readonly version: string | undefined
  readonly deletedBy: string
  readonly deletedAt: number
}
