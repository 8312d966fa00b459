import { type FileHandle, open, readFile, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import { refuseLonger, refuseShorter } from '../announced-size.ts'
import { readChunks } from '../chunk-reader.ts'
import { freeing } from '../given-chunks.ts'
import type { CompletedPush, PushHash, PushSpool } from '../push-spool.ts'
import type { HashValues } from '../running-hashes.ts'
import { createBlobPlaces } from './blob-places.ts'
import { createChunkWriter } from './chunk-writer.ts'
import { createGrowingHash, type GrowingHash } from './growing-hash.ts'
import { createHashThread, type HashThread } from './hash-thread.ts'
import { openPushFiles } from './push-files.ts'
import { stagedFile } from './staged-file.ts'
import { notAtEnd, pushBusy, pushStalled, uploadUnknown } from './upload-errors.ts'

/** A request that is silent for so long gives way to another one: its connection is most likely dead. */
const STALLED_MS = 10_000
/** Pushes that nobody works on and that go on with a hash in memory; those of others are read again. */
const MOST_KEPT = 256

/** What this process knows of a push besides its file. */
interface Push {
  readonly pushId: string
  work: Work | undefined
  content: Content | undefined
}
/**
 * The file is kept open along with its hashes, so that no other file can have its number: who finds it under the name of the push
 * finds the bytes that were hashed, and maybe more.
 */
interface Content {
  readonly file: FileHandle
  readonly ino: bigint
  readonly hashes: Map<'sha256' | PushHash, GrowingHash>
}
interface Work {
  readonly stop: AbortController
  readonly ended: PromiseWithResolvers<void>
  /** Infinity while it is completed: that is waited for by nobody. */
  heardAt: number
  /** The file has our name. */
  isTaken: boolean
}

export interface FsPushSpoolConfig {
  /** That of the blob store: a completed push is linked into it. */
  readonly root: string
  /** Installation id: each process of a shared root has its own. */
  readonly owner: string
  readonly clock: Pick<Clock, 'now'>
  /** Of the process; else one of its own. */
  readonly hashing?: HashThread
}

/**
 * Pushes as files in `<root>/.pushes/`: a push is as long as its file. Bytes are hashed while they are appended; after a restart, or
 * when another process has appended some, they are read again (docs/design/images.md).
 */
export async function openFsPushSpool({
  root,
  owner,
  clock,
  hashing = createHashThread(),
}: FsPushSpoolConfig): Promise<PushSpool & AsyncDisposable> {
  const files = await openPushFiles(root, owner)
  const places = createBlobPlaces(root)
  /** Those that were used last come last. */
  const pushes = new Map<string, Push>()

  async function enter(pushId: string, heardAt: number): Promise<Push & { work: Work }> {
    for (;;) {
      const push = pushes.get(pushId) ?? { pushId, work: undefined, content: undefined }
      const other = push.work
      if (other === undefined) {
        const work = { stop: new AbortController(), ended: Promise.withResolvers<void>(), heardAt, isTaken: false }
        pushes.delete(pushId)
        pushes.set(pushId, push)
        return Object.assign(push, { work })
      }
      if (clock.now() - other.heardAt < STALLED_MS) throw pushBusy(pushId)
      other.stop.abort(pushStalled(pushId))
      await other.ended.promise
    }
  }
  async function forget(push: Push): Promise<void> {
    const { content } = push
    push.content = undefined
    if (push.work === undefined) pushes.delete(push.pushId)
    if (content === undefined) return
    for (const hash of content.hashes.values()) await hash.end()
    await content.file.close()
  }
  async function leave(push: Push & { work: Work }): Promise<void> {
    const { pushId, work } = push
    try {
      if (work.isTaken) await files.release(pushId)
    } catch (error) {
      await forget(push)
      throw error
    } finally {
      Object.assign(push, { work: undefined })
      if (push.content === undefined) pushes.delete(pushId)
      work.ended.resolve()
    }
    await trim()
  }
  async function trim(): Promise<void> {
    for (const push of pushes.values()) {
      if (pushes.size <= MOST_KEPT) return
      if (push.work === undefined) await forget(push)
    }
  }
  /** Ends a push that is taken. */
  async function drop(push: Push & { work: Work }): Promise<void> {
    await files.remove(push.pushId)
    push.work.isTaken = false
    await forget(push)
  }

  /** @returns undefined: there is none. */
  async function take(push: Push & { work: Work }): Promise<Taken | undefined> {
    const { pushId, work } = push
    if (!(await files.take(pushId))) return undefined
    work.isTaken = true
    const path = files.pathOf(pushId)
    const { ino, size, nlink } = await stat(path, { bigint: true })
    const length = Number(size)
    const known = push.content
    const fits = known?.ino === ino && [...known.hashes.values()].every(({ reached }) => reached <= length)
    if (!fits) {
      await forget(push)
      push.content = contentOf(await open(path, 'r+'), ino)
    }
    return { content: push.content!, length, isPublished: nlink > 1n }
  }
  async function make(push: Push & { work: Work }): Promise<Taken> {
    const file = await files.make(push.pushId)
    push.work.isTaken = true
    await forget(push)
    push.content = contentOf(file, (await file.stat({ bigint: true })).ino)
    return { content: push.content, length: 0, isPublished: false }
  }

  return {
    async length(pushId, signal) {
      signal.throwIfAborted()
      return files.sizeOf(pushId)
    },

    async append(pushId, { to, start, sizeBytes, withHash }, source, signal) {
      // Until it is read: a source that breaks without a listener ends the process.
      source.on('error', () => {})
      signal.throwIfAborted()
      const push = await enter(pushId, clock.now())
      try {
        const found = await take(push)
        if (found?.isPublished || (found === undefined && to === 'begun')) throw uploadUnknown(pushId)
        const length = found?.length ?? 0
        if (start !== undefined && start !== length) throw notAtEnd(pushId, start, length)
        const { content } = found ?? (await make(push))
        const naming = found === undefined ? files.sync() : undefined
        naming?.catch(() => {})
        const stop = AbortSignal.any([signal, push.work.stop.signal])
        const onBytes = () => {
          push.work.heardAt = clock.now()
        }
        if (withHash !== undefined) hashFor(content, withHash)
        const outcome = await fill(content, { length, sizeBytes, source, onBytes }, stop)
        if ('trouble' in outcome) {
          await drop(push)
          throw outcome.trouble
        }
        await naming
        if ('error' in outcome) throw outcome.error
        return outcome.length
      } finally {
        await leave(push)
      }
    },

    async complete(pushId, withHash, signal) {
      signal.throwIfAborted()
      const push = await enter(pushId, Infinity)
      try {
        const taken = await take(push)
        if (taken === undefined) throw uploadUnknown(pushId)
        const { content, length } = taken
        const values: HashValues[] = []
        for (const name of ['sha256', ...(withHash === undefined ? [] : [withHash])] as const) {
          values.push(await hashFor(content, name).values(content.file, length, signal))
        }
        return completed(push, length, Object.assign({}, ...values))
      } catch (error) {
        await leave(push)
        throw error
      }
    },

    async cancel(pushId) {
      for (;;) {
        const other = pushes.get(pushId)?.work
        if (other === undefined) break
        if (other.heardAt === Infinity) throw pushBusy(pushId)
        other.stop.abort(uploadUnknown(pushId))
        await other.ended.promise
      }
      const push = await enter(pushId, Infinity)
      try {
        await drop(push)
      } finally {
        await leave(push)
      }
    },

    async *list(signal) {
      for (const push of await files.list()) {
        signal.throwIfAborted()
        yield push
      }
    },

    async [Symbol.asyncDispose]() {
      for (const push of [...pushes.values()]) await forget(push)
    },
  }

  function completed(push: Push & { work: Work }, sizeBytes: number, { sha256, sha512 }: HashValues): CompletedPush {
    const path = files.pathOf(push.pushId)
    let isOver = false
    const once = async (end: () => Promise<void>) => {
      if (isOver) return
      isOver = true
      try {
        await end()
      } finally {
        await leave(push)
      }
    }
    const digest = `sha256:${sha256}` as Digest
    const remove = () => once(() => drop(push))
    return {
      ...stagedFile(places, { path, digest, sizeBytes, md5: undefined, crc64: undefined, remove }),
      sha512,
      read: () => readFile(path),
      giveBack: () => once(async () => {}),
    }
  }
  function contentOf(file: FileHandle, ino: bigint): Content {
    const content = { file, ino, hashes: new Map() }
    hashFor(content, 'sha256')
    return content
  }
  /** Makes the one that is missing. */
  function hashFor({ hashes }: Content, name: 'sha256' | PushHash): GrowingHash {
    const hash = hashes.get(name) ?? createGrowingHash(hashing, [name])
    hashes.set(name, hash)
    return hash
  }
}

interface Taken {
  readonly content: Content
  readonly length: number
  /** The other name of the file is a blob: not a byte may change. */
  readonly isPublished: boolean
}
interface Filling {
  /** Where it begins. */
  readonly length: number
  readonly sizeBytes: number | undefined
  readonly source: Readable
  readonly onBytes: () => void
}
/** `error`: the sender's; the file is as long as it says. `trouble`: the disk's; nobody knows what is in the file. */
type Outcome = { readonly length: number } | { readonly error: unknown } | { readonly trouble: unknown }

async function fill(
  { file, hashes }: Content,
  { length, sizeBytes, source, onBytes }: Filling,
  signal: AbortSignal,
): Promise<Outcome> {
  const following = [...hashes.values()]
  const writer = createChunkWriter(Promise.resolve(file), length, {
    onWritten(_, written) {
      for (const hash of following) hash.reach(file, written).catch(() => {})
    },
    free: freeing(source),
  })
  let end = length
  const take = (chunk: Buffer) => {
    refuseLonger(end + chunk.length - length, sizeBytes)
    const full = writer.write(chunk)
    for (const hash of following) hash.follow(chunk, end)
    end += chunk.length
    onBytes()
    return full
  }
  let failure: { readonly error: unknown } | undefined
  try {
    await readChunks(source, take, signal)
    refuseShorter(end - length, sizeBytes)
  } catch (error) {
    failure = { error }
  }
  try {
    await writer.end()
    if (failure === undefined) return { length: end }
    if (hasCode(failure.error, 'ARTIFACT_BROKEN')) {
      for (const hash of following) hash.cut(length)
      await file.truncate(length)
      await file.datasync()
    }
    return failure
  } catch (trouble) {
    await writer.idle()
    return { trouble }
  }
}
