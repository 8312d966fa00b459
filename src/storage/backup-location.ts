/** An object of a location. Its name is one or more segments of `[A-Za-z0-9._+-]`, joined by `/`; none is `.` or `..`. */
export interface StoredObject {
  readonly name: string
  readonly sizeBytes: number
  /** UTC epoch milliseconds, by the clock of the place. */
  readonly modifiedAt: number
}

/** An object on its way. Disposing drops what was not published. */
export interface ObjectWriter extends AsyncDisposable {
  /** In order, one at a time: the caller waits for each. The chunk is the caller's again when it resolves. */
  write(chunk: Uint8Array): Promise<void>
  /** Durable, then visible under its name, whole, in place of what had the name. Nothing is written afterwards. */
  publish(): Promise<void>
  /** All that was written, to be checked before it is published. Nothing is written afterwards. */
  reread(): Promise<ObjectReader>
}

/** A name directly below another. */
export interface ChildName {
  /** Its last segment. */
  readonly name: string
  /** `other`: a link, a device: what nobody should touch. */
  readonly kind: 'object' | 'folder' | 'other'
}

/** An object that is read here and there. */
export interface ObjectReader extends AsyncDisposable {
  readonly sizeBytes: number
  /** Fills `into` from its beginning with the bytes from `position`. @returns how many came, fewer only at the end. */
  read(into: Uint8Array, position: number, signal: AbortSignal): Promise<number>
}

/**
 * A place that backups are kept in: named objects, which appear whole or not at all. A name that ends in `.partial` is a draft: an
 * object on its way, or a folder of objects that shall appear together (`rename`). Adapters promise: read-after-write and
 * list-after-write; what is acknowledged survives a power cut, what lies in a draft folder once the folder is renamed; nobody but the owner of the process may read it (0600, folders 0700);
 * links are neither followed nor listed. Whatever goes wrong for want of room is STORAGE_UNAVAILABLE with words that say so.
 * Checked by `backup-location.contract.ts` for every adapter.
 */
export interface BackupLocation {
  /** For people, e.g. a folder. */
  readonly path: string
  /** Makes the folders above it. */
  create(name: string, signal: AbortSignal): Promise<ObjectWriter>
  /** A small object at once, as `create` and `publish`. */
  put(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** As `put`, but only where the name is free. @returns whether it was. Of two at the same time one wins. */
  putNew(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean>
  /** @throws AppError BLOB_UNKNOWN; ARTIFACT_BROKEN when it is a link, or behind one. */
  open(name: string, signal: AbortSignal): Promise<ObjectReader>
  find(name: string, signal: AbortSignal): Promise<StoredObject | undefined>
  /** Objects below `prefix/`, at any depth, in no promised order; drafts are left out. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<StoredObject>
  /** What lies directly below `prefix/`, or in the place itself when it is empty, with drafts, by name. None: there is no such folder. */
  children(prefix: string, signal: AbortSignal): Promise<ChildName[]>
  /** Missing is fine. */
  delete(name: string, signal: AbortSignal): Promise<void>
  /** All objects below `draft/` are below `name/` instead, at once where the place can do it, and durable. @throws AppError RESOURCE_EXISTED. */
  rename(draft: string, name: string, signal: AbortSignal): Promise<void>
  /** Everything below `prefix/`, drafts and empty folders too. Missing is fine. */
  deleteAll(prefix: string, signal: AbortSignal): Promise<void>
  /** Names directly below `prefix/` survive a power cut, whoever gave them. Missing is fine. */
  sync(prefix: string, signal: AbortSignal): Promise<void>
  /** A folder with nothing in it is gone; one with anything stays. Missing is fine. */
  deleteIfEmpty(prefix: string, signal: AbortSignal): Promise<void>
}
