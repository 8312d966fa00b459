import type { Clock } from '../core/clock.ts'
import type { Digest } from '../core/digest.ts'
import { AppError } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import type { PullSource } from '../core/pull-source.ts'
import type { Repository } from '../metadata/repositories/repositories.ts'
import type { OutgoingRules } from '../remotes/outgoing-url.ts'

/** A registry that somebody else runs, as a format speaks to it. Holds a secret in clear: never log it. */
export interface ForeignAddress {
  /** With scheme; a path is the prefix of its names. */
  readonly url: string
  readonly username: string | undefined
  readonly password: string | undefined
  /** PEM trust anchor for this host alone. */
  readonly certificate: string | undefined
}

/** What it takes to speak to others. */
export interface ForeignDeps {
  readonly clock: Clock
  readonly random: Random
  readonly rules: OutgoingRules
}

/** How versions of a format go to registries of others (replication.md 4). */
export interface ForeignRegistries {
  /**
   * Tries an address as users give it, `[scheme://]host[:port][/path]`.
   * @throws AppError PARAMETER_INVALID naming `registry`; CLUSTER_CONNECT_ERROR, CLUSTER_SSL_ERROR.
   */
  reach(
    given: Omit<ForeignAddress, 'url'> & { readonly address: string },
    signal: AbortSignal,
  ): Promise<FoundRegistry & { readonly url: string }>
  /**
   * Where it would be, without asking it. @throws AppError PARAMETER_INVALID naming `registry`, also for a name that is known to lead
   * where this server must not go.
   */
  assumedUrl(address: string, signal: AbortSignal): Promise<string>
  /** One for as long as a run lasts: it knows what it has seen there. */
  connect(address: ForeignAddress): ForeignRegistry
}

/** It is there, and takes the login. */
export interface FoundRegistry {
  /** Which of our kind it is (`core/server-mark.ts`); undefined: another kind. */
  readonly server: string | undefined
}

/** @throws AppError with the registry's words; `retryable` when the same may work later. */
export interface ForeignRegistry extends Disposable {
  check(signal: AbortSignal): Promise<FoundRegistry>
  /** Digest of what has this name there; undefined: nothing has. */
  find(packageName: string, name: string, signal: AbortSignal): Promise<string | undefined>
  /** Leaves first: what is named is there before what names it. What the registry has already is not sent. */
  push(version: ForeignVersion, options: ForeignPushOptions, signal: AbortSignal): Promise<ForeignPush>
}

/** How long a registry asked to be left alone. */
export function retryAfterOf(error: unknown): number | undefined {
  const asked = error instanceof AppError ? error.detail.retryAfterMs : undefined
  return typeof asked === 'number' ? asked : undefined
}

export interface ForeignVersion {
  /** `team/nginx` */
  readonly packageName: string
  /** As clients of the format name its main file. */
  readonly digest: string
  /** Under which it is to be there; none: its digest. */
  readonly tags: readonly string[]
  /** Leaves first, the main file last. */
  readonly files: readonly ForeignFile[]
}
export interface ForeignFile {
  readonly path: string
  readonly digest: Digest
  readonly sizeBytes: number
}
export interface ForeignPush {
  readonly sentBlobs: number
  readonly sentBytes: number
}

export interface ForeignPushOptions {
  /** The caller disposes what is opened. @param range half-open. */
  open(
    file: ForeignFile,
    range: { readonly start: number; readonly end: number },
    signal: AbortSignal,
  ): Promise<PullSource>
  /** Whole, of a document. */
  read(file: ForeignFile, signal: AbortSignal): Promise<Buffer>
  /** Before bytes go out; a limit waits here. */
  onBytes(count: number): Promise<void> | void
  readonly uploads: UploadMemory
}

/** Remembers how far uploads of large contents got, over the end of the process. */
export interface UploadMemory {
  find(repository: string, content: string): Promise<UploadPlace | undefined>
  save(repository: string, content: string, place: UploadPlace): Promise<void>
  forget(repository: string, content: string): Promise<void>
}
export interface UploadPlace {
  /** URL; it may hold a signature. */
  readonly location: string
  readonly offset: number
}

/** How versions of a format come from registries of others, to stay. */
export interface ForeignSources {
  /** One for as long as a run lasts: what several versions share is brought once. */
  connect(address: ForeignAddress): ForeignSource
}

/** @throws AppError with the registry's words; `retryable` when the same may work later. */
export interface ForeignSource extends Disposable {
  /** That it is there, and takes the login. */
  check(signal: AbortSignal): Promise<void>
  /** Names of all packages below its address; few registries tell. */
  packages(signal: AbortSignal): Promise<readonly string[]>
  /** Undefined: it has no such package. */
  versions(packageName: string, signal: AbortSignal): Promise<readonly string[] | undefined>
  /** With all that belongs to it; what is here is not fetched again. Undefined: it has no such version. */
  bring(
    repository: Repository,
    version: { readonly packageName: string; readonly name: string },
    options: ForeignPullOptions,
    signal: AbortSignal,
  ): Promise<BroughtVersion | undefined>
}

export interface ForeignPullOptions {
  /** User who has it from then on. */
  readonly by: string
  /** As bytes come in; a limit waits here. */
  onBytes(count: number): Promise<void> | void
}

export interface BroughtVersion {
  /** As clients of the format name its main file. */
  readonly digest: string
  readonly sizeBytes: number
  /** `unchanged`: it was here, with all that belongs to it. */
  readonly result: 'written' | 'unchanged'
  /** It has taken the place of another. */
  readonly replaced: 'another' | 'nothing'
  /** Contents that had to travel. */
  readonly fetchedBlobs: number
}
