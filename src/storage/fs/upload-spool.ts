import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { UploadSpool } from '../upload-spool.ts'
import { createBlobPlaces } from './blob-places.ts'
import { makeDirectory, syncDirectory } from './directories.ts'
import { createHashThread, type HashThread } from './hash-thread.ts'
import { type PartRequest, type PartTarget, writePart } from './part-writer.ts'
import { createPrefixHash } from './prefix-hash.ts'
import { stagedFile } from './staged-file.ts'
import { partStalled, uploadIncomplete, uploadUnknown } from './upload-errors.ts'
import { createUploadNotes, partAt, readUploadNotes } from './upload-notes.ts'

/** An id becomes a directory name. */
const UPLOAD_ID = /^[A-Za-z0-9_-]{1,128}$/

/** A request for a part that is silent for so long gives way to a newer one: its connection is most likely dead. */
const STALLED_MS = 10_000

/** An upload as this process works on it. */
interface OpenUpload extends PartTarget {
  /** Requests for parts that are under way, in the order they came. Those for one part work one after another. */
  readonly attempts: Set<Attempt>
  /** Set while it is completed, until the staged blob is disposed, and while it is removed: no byte may change. */
  closed: Promise<void> | undefined
}
interface Attempt {
  readonly part: number
  readonly stop: AbortController
  /** Never rejects. */
  readonly ended: Promise<void>
  heardAt: number
  isChanging: boolean
}

export interface FsUploadSpoolConfig {
  /** That of the blob store: a completed upload is linked into it. */
  readonly root: string
  readonly clock: Pick<Clock, 'now'>
  /** Of the process; else one of its own. */
  readonly hashing?: HashThread
}

/**
 * Uploads in `<root>/.uploads/<uploadId>/`: `data`, as large as the blob from the start and filled in place, and `parts`, the
 * notes. Of one part one request writes at a time, the others wait for it. The requests of one upload should reach one process;
 * parts that another process has finished are seen.
 */
export async function openFsUploadSpool({
  root,
  clock,
  hashing = createHashThread(),
}: FsUploadSpoolConfig): Promise<UploadSpool> {
  const top = join(root, '.uploads')
  await mkdir(root, { recursive: true })
  await makeDirectory(top)
  const places = createBlobPlaces(root)
  const uploads = new Map<string, Promise<OpenUpload>>()

  const directoryOf = (uploadId: string): string => {
    if (!UPLOAD_ID.test(uploadId)) throw uploadUnknown(uploadId)
    return join(top, uploadId)
  }
  /** @throws AppError UPLOAD_UNKNOWN. */
  async function get(uploadId: string): Promise<OpenUpload> {
    const known = uploads.get(uploadId) ?? load(uploadId)
    uploads.set(uploadId, known)
    try {
      return await known
    } catch (error) {
      if (uploads.get(uploadId) === known) uploads.delete(uploadId)
      throw error
    }
  }
  async function load(uploadId: string): Promise<OpenUpload> {
    const directory = directoryOf(uploadId)
    const dataPath = join(directory, 'data')
    const notes = await readUploadNotes(join(directory, 'parts'))
    if (notes === undefined) throw uploadUnknown(uploadId)
    const { layout } = notes
    const hash = createPrefixHash({ path: dataPath, layout, done: await notes.isDone(), hashing })
    return { uploadId, dataPath, notes, hash, attempts: new Set(), closed: undefined }
  }
  async function find(uploadId: string): Promise<OpenUpload | undefined> {
    try {
      return await get(uploadId)
    } catch (error) {
      if (hasCode(error, 'UPLOAD_UNKNOWN')) return undefined
      throw error
    }
  }
  async function remove(uploadId: string, upload: OpenUpload | undefined): Promise<void> {
    await upload?.hash.stop()
    await rm(directoryOf(uploadId), { recursive: true, force: true })
    await syncDirectory(top)
    uploads.delete(uploadId)
  }

  return {
    async create(uploadId, layout, signal) {
      signal.throwIfAborted()
      const directory = directoryOf(uploadId)
      if ((await find(uploadId)) === undefined) {
        await makeDirectory(directory)
        await allocate(join(directory, 'data'), layout.sizeBytes)
        // The notes come last: without them there is no upload.
        await createUploadNotes(join(directory, 'parts'), layout)
        await syncDirectory(directory)
      }
      const there = (await get(uploadId)).notes.layout
      if (there.sizeBytes !== layout.sizeBytes || there.partSizeBytes !== layout.partSizeBytes) {
        throw new AppError('RESOURCE_EXISTED', `Upload [${uploadId}] exists with another size`, { ...there })
      }
    },

    async putPart(uploadId, part, source, onBytes, signal) {
      // Until it is read: a source that breaks without a listener ends the process.
      source.on('error', () => {})
      const upload = await get(uploadId)
      partAt(upload.notes.layout, part)
      if (upload.closed !== undefined) throw uploadUnknown(uploadId)
      const others = [...upload.attempts].filter((other) => other.part === part)
      if (others[0] !== undefined && clock.now() - others[0].heardAt >= STALLED_MS) {
        others[0].stop.abort(partStalled(uploadId, part))
      }
      const over = Promise.withResolvers<void>()
      const attempt: Attempt = {
        part,
        stop: new AbortController(),
        ended: over.promise,
        heardAt: clock.now(),
        isChanging: false,
      }
      upload.attempts.add(attempt)
      const request: PartRequest = {
        part,
        source,
        onBytes(count) {
          attempt.heardAt = clock.now()
          onBytes(count)
        },
        onChange() {
          if (upload.closed !== undefined) throw uploadUnknown(uploadId)
          attempt.isChanging = true
        },
      }
      try {
        await others.at(-1)?.ended
        attempt.heardAt = clock.now()
        await writePart(upload, request, AbortSignal.any([signal, attempt.stop.signal]))
      } finally {
        upload.attempts.delete(attempt)
        over.resolve()
      }
    },

    async listParts(uploadId, signal) {
      signal.throwIfAborted()
      const { notes } = await get(uploadId)
      const done = await notes.isDone()
      return done.flatMap((isDone, part) => {
        return isDone ? [{ part, sizeBytes: partAt(notes.layout, part).sizeBytes }] : []
      })
    },

    async complete(uploadId, signal) {
      signal.throwIfAborted()
      let upload = await get(uploadId)
      while (upload.closed !== undefined) {
        await unlessAborted(upload.closed, signal)
        upload = await get(uploadId)
      }
      const owned = upload
      const changing = [...owned.attempts].find(({ isChanging }) => isChanging)
      if (changing !== undefined) throw uploadIncomplete(uploadId, changing.part)
      const reopen = close(owned)
      try {
        const missing = (await owned.notes.isDone()).indexOf(false)
        if (missing !== -1) throw uploadIncomplete(uploadId, missing)
        return stagedFile(places, {
          path: owned.dataPath,
          digest: await owned.hash.digest(signal),
          sizeBytes: owned.notes.layout.sizeBytes,
          md5: undefined,
          crc64: undefined,
          remove: () => remove(uploadId, owned).finally(reopen),
        })
      } catch (error) {
        reopen()
        throw error
      }
    },

    async abort(uploadId) {
      if (!UPLOAD_ID.test(uploadId)) return
      const upload = await find(uploadId)
      const reopen = upload?.closed === undefined && upload !== undefined ? close(upload) : undefined
      const attempts = [...(upload?.attempts ?? [])]
      for (const { stop } of attempts) stop.abort(uploadUnknown(uploadId))
      await Promise.all(attempts.map(({ ended }) => ended))
      await remove(uploadId, upload).finally(reopen)
    },

    async *list(signal) {
      for (const name of (await readdir(top)).sort()) {
        signal.throwIfAborted()
        if (UPLOAD_ID.test(name)) yield name
      }
    },
  }
}

/** @returns what opens it again. */
function close(upload: OpenUpload): () => void {
  const over = Promise.withResolvers<void>()
  upload.closed = over.promise
  return () => {
    upload.closed = undefined
    over.resolve()
  }
}

/** Sparse until it is filled. What is there stays. */
async function allocate(path: string, sizeBytes: number): Promise<void> {
  await using file = await open(path, 'a')
  await file.truncate(sizeBytes)
  await file.datasync()
}
