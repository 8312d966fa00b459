import type { PullSource } from '../../core/pull-source.ts'
import type { VerifyFinding } from './layout.ts'

export interface RunFile {
  /** Below the run, with `/`. */
  readonly name: string
  readonly sizeBytes: number
}

/** The files of a run that is there, as a folder or a zip has them. Anybody may have made them: nothing is taken on trust. */
export interface RunFiles extends AsyncDisposable {
  readonly layout: 'FOLDER' | 'ZIP'
  /** Of the run, for people. */
  readonly path: string
  find(name: string, signal: AbortSignal): Promise<RunFile | undefined>
  /** @throws AppError BLOB_UNKNOWN; ARTIFACT_BROKEN, also when it is read. */
  open(file: RunFile, signal: AbortSignal): Promise<PullSource>
  list(signal: AbortSignal): AsyncIterable<RunFile>
  /** What is to be said of the run as a whole, whatever its files hold. @param reads `all`: its bytes are read. */
  check(reads: 'all' | 'some', onBytes: (count: number) => void, signal: AbortSignal): Promise<WholeFinding[]>
}

export interface WholeFinding extends VerifyFinding {
  /** `odd` does no harm. */
  readonly kind: 'wrong' | 'odd'
}

/** A file of a draft on its way; several at the same time where `putsAtOnce` says so. Disposing drops what was not kept. */
export interface FileDraft extends AsyncDisposable {
  /** In order, one at a time. The chunk is the caller's again when it resolves. */
  write(chunk: Buffer): Promise<void>
  keep(): Promise<void>
}

/** The files of a run on its way. Disposing drops them all, unless it was published. */
export interface RunDraft extends AsyncDisposable {
  /** What it will be, for people. */
  readonly path: string
  readonly putsAtOnce: number
  putAll(files: readonly { readonly name: string; readonly bytes: Buffer }[], signal: AbortSignal): Promise<void>
  create(name: string, signal: AbortSignal): Promise<FileDraft>
  /** Durable and whole, under its name. */
  publish(signal: AbortSignal): Promise<void>
}
