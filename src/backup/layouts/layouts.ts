import type { BackupReader, BackupWriter } from './layout.ts'

/** What a run will be called and how it is laid out. */
export interface WriterRequest {
  /** `storeLocation`, resolved. */
  readonly place: string
  readonly name: string
  readonly runId: string
  /** UTC epoch milliseconds; names the run, in the server's zone. */
  readonly startedAt: number
  readonly layout: 'FOLDER' | 'ZIP' | 'REPOSITORY'
  /** Bytes per second; null: no limit. */
  readonly rateLimit: number | null
  /** Of REPOSITORY: contents and records are compressed where it gains. */
  readonly compression: boolean
}

/** Every layout behind one door. */
export interface Layouts {
  openWriter(request: WriterRequest, signal: AbortSignal): Promise<BackupWriter>
  /**
   * @param path of a run folder, a zip file, or a snapshot of a repository.
   * @throws AppError ARTIFACT_BROKEN with words when it is no whole backup, or is hostile; nothing was written anywhere.
   */
  openReader(path: string, takes: 'whole' | 'legacy', signal: AbortSignal): Promise<BackupReader>
  /** Whether what lies at a path is a run, whole or not, rather than a place of runs. */
  isRun(path: string, signal: AbortSignal): Promise<boolean>
  /** Removes what a run that died has left in the place. */
  sweep(request: Omit<WriterRequest, 'rateLimit' | 'compression'>, signal: AbortSignal): Promise<void>
  /** Whole runs of a name in a place (all names: undefined), newest first, for retention, drills and lists. */
  list(place: string, name: string | undefined, signal: AbortSignal): Promise<StoredRun[]>
  /** Paths of what is called like a run, and has no manifest: it has lost it, or the reference made it. */
  incomplete(place: string, name: string | undefined, signal: AbortSignal): Promise<string[]>
  /** Takes a run away: nobody sees it from the first moment on, its bytes go at once where nothing else needs them. Missing is fine. */
  remove(run: StoredRun, signal: AbortSignal): Promise<void>
}

/** One layout. */
export interface LayoutKind {
  openWriter(request: WriterRequest, signal: AbortSignal): Promise<BackupWriter>
  /** @returns undefined when what lies there is not of this layout. @throws AppError ARTIFACT_BROKEN. */
  openReader(path: string, takes: 'whole' | 'legacy', signal: AbortSignal): Promise<BackupReader | undefined>
  isRun: Layouts['isRun']
  sweep: Layouts['sweep']
  list: Layouts['list']
  incomplete: Layouts['incomplete']
  remove: Layouts['remove']
}

export interface StoredRun {
  readonly name: string
  /** What `openReader` takes. */
  readonly path: string
  readonly layout: WriterRequest['layout']
  /** UTC epoch milliseconds. */
  readonly startedAt: number
}
