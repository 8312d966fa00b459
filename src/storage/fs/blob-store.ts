import { createHash } from 'node:crypto'
import { mkdir, open, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { digestFromBytes } from '../../core/digest.ts'
import { refuseLonger, refuseShorter } from '../announced-size.ts'
import type { BlobStore, ReceiveOptions, StagedBlob } from '../blob-store.ts'
import { readChunks } from '../chunk-reader.ts'
import { listBlobFiles } from './blob-listing.ts'
import { createBlobPlaces } from './blob-places.ts'
import { openBlobFile } from './blob-reader.ts'
import { createChunkWriter } from './chunk-writer.ts'
import { hasErrno, makeDirectory, syncDirectory } from './directories.ts'
import { stagedFile } from './staged-file.ts'

export interface FsBlobStoreConfig {
  /** Created when absent. Processes may share it. Its file system must have hard links. */
  readonly root: string
  /** Installation id: each process of a shared root has its own, and sweeps what it had staged when it died. */
  readonly owner: string
}

/**
 * Blobs as files below `<root>/aa/bb/`. Incoming bytes go to `<root>/.staging/<owner>/`, on the same file system, and are linked
 * to their place when published (docs/decisions/0004-blob-store.md).
 */
export async function openFsBlobStore({ root, owner }: FsBlobStoreConfig): Promise<BlobStore> {
  const staging = join(root, '.staging', owner)
  await mkdir(root, { recursive: true })
  await syncDirectory(dirname(root))
  await rm(staging, { recursive: true, force: true })
  await makeDirectory(dirname(staging))
  await mkdir(staging)
  const places = createBlobPlaces(root)
  let received = 0

  return {
    capabilities: { presignedUrl: false },
    async receive(source, options, signal) {
      const path = join(staging, String(++received))
      const opening = open(path, 'wx')
      const writer = createChunkWriter(opening, 0)
      try {
        const content = await readContent(source, options, writer.write, signal)
        await writer.end()
        await (await opening).close()
        return stagedFile(places, { ...content, path, remove: () => removeFile(path) })
      } catch (error) {
        await writer.idle()
        const file = await opening.catch(() => undefined)
        await file?.close()
        await removeFile(path)
        throw error
      }
    },
    async open(digest, range, signal) {
      signal.throwIfAborted()
      return openBlobFile(places.pathOf(digest), digest, range, signal)
    },
    async find(digest, signal) {
      signal.throwIfAborted()
      try {
        return { digest, sizeBytes: (await stat(places.pathOf(digest))).size }
      } catch (error) {
        if (hasErrno(error, 'ENOENT')) return undefined
        throw error
      }
    },
    list: (signal) => listBlobFiles(root, signal),
    async delete(digest, signal) {
      signal.throwIfAborted()
      await removeFile(places.pathOf(digest))
    },
  }
}

/** One pass: every chunk is hashed on this thread while the one before it is written by another. */
async function readContent(
  source: Readable,
  { sizeBytes: announced, withMd5, onBytes }: ReceiveOptions,
  write: (chunk: Buffer) => Promise<void> | undefined,
  signal: AbortSignal,
): Promise<Pick<StagedBlob, 'digest' | 'sizeBytes' | 'md5'>> {
  const sha256 = createHash('sha256')
  const md5 = withMd5 === true ? createHash('md5') : undefined
  let sizeBytes = 0
  const take = (chunk: Buffer) => {
    sizeBytes += chunk.length
    refuseLonger(sizeBytes, announced)
    const full = write(chunk)
    sha256.update(chunk)
    md5?.update(chunk)
    onBytes?.(chunk.length)
    return full
  }
  await readChunks(source, take, signal)
  refuseShorter(sizeBytes, announced)
  return { digest: digestFromBytes(sha256.digest()), sizeBytes, md5: md5?.digest('hex') }
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error
  }
}
