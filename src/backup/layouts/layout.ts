import type { Readable } from 'node:stream'
import type { Digest } from '../../core/digest.ts'
import type { PullSource } from '../../core/pull-source.ts'
import type { BlobStat, SmallContent } from '../../storage/blob-store.ts'
import type { Manifest, RecordFile, RecordPart } from '../manifest/manifest.ts'

/** Some records of a file: new lines, or a part that the base has already. */
export type RecordChunk =
  | { readonly lines: Buffer; readonly records: number; readonly first: string }
  | { readonly kept: RecordPart }

/** All but what the layout knows itself. */
export type ManifestDraft = Omit<Manifest, 'blobCount' | 'blobBytes' | 'basedOn'>

/**
 * A run on its way into a place, in whatever layout. Order: contents, record files, manifest. Disposing drops what was not published,
 * but for contents that a later run may use.
 */
export interface BackupWriter extends AsyncDisposable {
  /** What it makes, for people, from the beginning. */
  readonly artifactLocation: string
  /** The newest whole run of the same name in the same place whose parts may be kept; undefined: there is none, or the layout cannot. */
  readonly base: Manifest | undefined
  /** Those whose bytes need not be given. */
  held(digests: readonly Digest[], signal: AbortSignal): Promise<ReadonlySet<Digest>>
  /** Whole contents, which the caller has hashed. Twice the same is fine. */
  putSmall(contents: readonly SmallContent[], signal: AbortSignal): Promise<void>
  /**
   * One content; hashed on its way. `open` may be called more than once. Several at the same time are fine where `putsAtOnce` says so.
   * @throws AppError ARTIFACT_BROKEN when it is not what its digest says; nothing of it is kept. Errors of `open` and its source as they are.
   */
  putLarge(
    blob: BlobStat,
    open: () => Promise<PullSource>,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void>
  readonly putsAtOnce: number
  /** One file after the other, after all contents. An empty file is written, too. */
  putRecords(path: string, chunks: AsyncIterable<RecordChunk>, signal: AbortSignal): Promise<RecordFile>
  /** Seals and shows the run: durable and whole when it resolves. */
  publish(draft: ManifestDraft, signal: AbortSignal): Promise<Manifest>
}

/** Which contents are read when a run is verified. */
export interface VerifyShare {
  /** 0 to 100; which ones is chosen anew each time. */
  readonly percent: number
  /** The n-th of `of` equal parts of what has a digest, from 1; undefined: all. */
  readonly subset: { readonly part: number; readonly of: number } | undefined
}
export interface VerifyFinding {
  /** What is wrong: the path of an object in the place. */
  readonly object: string
  readonly reason: string
}
export interface VerifyReport {
  readonly objects: number
  readonly bytes: number
  /** At most 1,000. */
  readonly findings: readonly VerifyFinding[]
  readonly wrong: number
}

/** A run that is there. Its manifest was checked when it was opened. */
export interface BackupReader extends AsyncDisposable {
  readonly layout: 'FOLDER' | 'ZIP' | 'REPOSITORY'
  /** Undefined: made by the reference, which has none. */
  readonly manifest: Manifest | undefined
  /** Paths of all record files; without a manifest also of what has names that no backup has. */
  readonly files: readonly string[]
  /** Lines of a record file without their ends; the whole file was checked before the first. No such file: none. @throws AppError ARTIFACT_BROKEN. */
  records(path: string, signal: AbortSignal): AsyncIterable<string>
  /** Whole small contents, checked by their digests; those that are missing or wrong are left out. */
  readSmall(blobs: readonly BlobStat[], signal: AbortSignal): Promise<Map<Digest, Buffer>>
  /** The bytes as they are: whoever stores them hashes them. @throws AppError BLOB_UNKNOWN, ARTIFACT_BROKEN. */
  open(blob: BlobStat, signal: AbortSignal): Promise<Readable>
  /** Structure always (each object that the run needs is there, with its size), bytes by share. */
  verify(share: VerifyShare, onBytes: (count: number) => void, signal: AbortSignal): Promise<VerifyReport>
}
