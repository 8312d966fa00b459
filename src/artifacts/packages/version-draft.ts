import type { Digest } from '../../core/digest.ts'
import { AppError, invalid } from '../../core/errors.ts'
import type { Hlc } from '../../core/hlc.ts'
import { checkMetadata, type Metadata } from '../../core/metadata.ts'
import { checkVersionName } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import type { BlobStat, SmallContent, StagedBlob } from '../../storage/blob-store.ts'

/** A file of a version that is to be published. */
export interface DraftFile {
  readonly path: NodePath
  /** `main` for exactly one of them; other roles are the format's own words. */
  readonly role: string
  /** New bytes, staged or whole; a blob that the store holds; or `stored`: the node is there already (a layer that was pushed before). */
  readonly content: StagedBlob | SmallContent | HeldBlob | 'stored'
  /** Of the node; only with new bytes. */
  readonly metadata?: Metadata
}

/** A blob that the store promised to hold (`touchBlobs` keeps the promise in the transaction), not a node of the repository yet. */
export interface HeldBlob extends BlobStat {
  readonly held: true
}

/** A version as a format wants it to be. What is left out is empty. */
export interface VersionDraft {
  readonly packageKey: string
  readonly version: string
  /** Leaves first: a file never refers to a later one. */
  readonly files: readonly DraftFile[]
  /** A version of that name, or other files at its paths. */
  readonly existing: 'refuse' | 'replace'
  /** `fetched`: not a user brings it, but the repository, which takes none from users. */
  readonly arrival?: 'fetched'
  /** Only in place of the version of this name with this `digest`. */
  readonly onlyOver?: string
  readonly manifestPath?: NodePath
  readonly metadata?: Metadata
  readonly tags?: readonly string[]
  readonly stageTags?: readonly string[]
  /** The format's own document, kept as it is. */
  readonly extension?: Readonly<Record<string, unknown>>
  readonly package?: {
    /** Undefined: stays as it is. */
    readonly description?: string
    /** They point at this version from now on. */
    readonly tags?: readonly string[]
    /** Merged into what the package has. */
    readonly extension?: Readonly<Record<string, unknown>>
  }
}

/** Who published it, when (UTC epoch ms), with which stamp: a local user, or what another cluster says. */
export interface Authorship {
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
  /** `peer.id`; 0: written here. */
  readonly origin: number
  readonly hlc: Hlc
  /** `peer_link.id` and mark of the run; undefined: a local user. */
  readonly viaLink: number | undefined
  readonly viaMark: number | undefined
}

/** A file of the version whose bytes are known. */
export interface VersionPart {
  readonly path: NodePath
  readonly role: string
  readonly digest: Digest
  readonly sizeBytes: number
}

const MAX_FILES = 10_000

/** @throws AppError PARAMETER_INVALID, METADATA_INVALID. */
export function checkDraft(draft: VersionDraft): void {
  checkVersionName(draft.version)
  checkMetadata(draft.metadata ?? [])
  for (const { metadata } of draft.files) checkMetadata(metadata ?? [])
  for (const tag of draft.package?.tags ?? []) checkVersionName(tag)
  if (draft.files.length > MAX_FILES) throw invalid('files', `a version has at most ${MAX_FILES}`)
  if (new Set(draft.files.map(({ path }) => path)).size < draft.files.length)
    throw invalid('files', 'a path comes twice')
  if (mainOf(draft.files) === undefined) throw invalid('files', 'exactly one has the role main')
}

export function mainOf<F extends { readonly role: string }>(files: readonly F[]): F | undefined {
  const mains = files.filter(({ role }) => role === 'main')
  return mains.length === 1 ? mains[0] : undefined
}

/** A file that is to be published would take the place of one that another version needs. */
export const claimedElsewhere = (path: NodePath): AppError =>
  new AppError('NODE_CONFLICT', `Node [${path}] conflict: another version has this file`, { path })
