import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { ancestorsOf, parentOf } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { placesAt } from '../../metadata/nodes/taken-places.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { isGivenUp } from '../../metadata/storage/packed-blobs.ts'
import type { ContentDigests } from '../../storage/content-hashes.ts'
import type { BlobIntake, PackedBlobs } from '../blobs/blob-intake.ts'
import { lockLive, putFiles } from '../nodes/node-writer.ts'
import { settle } from '../nodes/settle.ts'
import { roomIn } from '../repositories/quotas.ts'
import { checkPlace, type FileUpload, fileWriteOf, verifyDigests } from './file-placement.ts'
import { type Answer, createGroupQueue } from './group-queue.ts'

/** A whole small file, as it came. */
export interface SmallFile {
  readonly repository: Repository
  readonly file: FileUpload
  readonly content: ContentDigests & { readonly bytes: Buffer }
  readonly by: string
}

/**
 * How small files become visible, many with one write to the disk and one transaction. Each is decided on its own, in the order in
 * which they came; nobody hears of anything before all of it is durable.
 */
export interface GroupedUploads {
  /**
   * @throws AppError as `FilePlacement.check` and `place`, DIGEST_MISMATCH; the signal's reason when it aborts before the file's
   * group begins.
   */
  place(small: SmallFile, signal: AbortSignal): Promise<NodeRecord>
}

interface GroupedUploadDeps {
  readonly db: Pick<MetadataDatabase, 'transact' | 'read'>
  readonly intake: Pick<BlobIntake, 'pack' | 'claimPacked'>
  readonly clock: Pick<Clock, 'now'>
  readonly hlc: HlcClock
}

/** A transaction of 256 files holds the thread for less than 20 ms (SQLite). */
const MOST_FILES = 256
const MOST_BYTES = 4 * 1024 * 1024
const MOST_PACKINGS = 3
/** A group goes on for those who stay: nobody's going away ends it. */
const NEVER = new AbortController().signal

export function createGroupedUploads({ db, intake, clock, hlc }: GroupedUploadDeps): GroupedUploads {
  /** Refusals that need no transaction, and that would leave bytes in the store which nobody wants. */
  async function firstLook(files: readonly SmallFile[]): Promise<Answered> {
    const answers: Answered = new Map()
    const now = clock.now()
    for (const ofOne of groupBy(files, ({ repository }) => repository.id)) {
      const { repository } = ofOne[0]!
      const paths = new Set(ofOne.flatMap(({ file: { path } }) => [path, ...ancestorsOf(path)]))
      const places = await placesAt(db.read, repository.id, [...paths])
      const room = await roomIn(db.read, repository)
      for (const small of ofOne) {
        const { file, content } = small
        const error = refusalOf(() => {
          checkPlace(file, places, now)
          room.check(content.bytes.length - (places.get(file.path)?.sizeBytes ?? 0))
          verifyDigests(file, content)
        })
        if (error !== undefined) answers.set(small, { error })
      }
    }
    return answers
  }

  async function write(trx: Transaction, files: readonly SmallFile[], packed: PackedBlobs): Promise<Answered> {
    const now = clock.now()
    const answers: Answered = new Map()
    const batches: { readonly repository: Repository; readonly welcome: SmallFile[]; readonly current: Rows }[] = []
    for (const ofOne of groupBy(files, ({ repository }) => repository.id).sort(byRepository)) {
      const { repository } = ofOne[0]!
      const paths = new Set(ofOne.flatMap(({ file: { path } }) => [path, parentOf(path)]))
      const current = await lockLive(trx, repository.id, [...paths])
      const welcome = ofOne.filter((small) => {
        const error = refusalOf(() => checkPlace(small.file, current, now))
        if (error !== undefined) answers.set(small, { error })
        return error === undefined
      })
      batches.push({ repository, welcome, current })
    }
    const wanted = new Set(batches.flatMap(({ welcome }) => welcome.map(({ content }) => content.digest)))
    await intake.claimPacked(
      trx,
      packed.filter(({ digest }) => wanted.has(digest)),
    )
    for (const { repository, welcome, current } of batches) {
      // Folders that are made on the way are their user's.
      for (const ofUser of groupBy(welcome, ({ by }) => by)) {
        const writes = ofUser.map(({ file, content, by }) => {
          const stored = { ...content, sizeBytes: content.bytes.length }
          return fileWriteOf(file, stored, by, { hlc, now, previous: current.get(file.path) })
        })
        const records = await putFiles(trx, repository, writes, current, now)
        for (const [index, small] of ofUser.entries()) answers.set(small, { value: records[index]! })
      }
    }
    return answers
  }

  function pack(files: readonly SmallFile[]): Promise<PackedBlobs> {
    const once = new Map(files.map(({ content }): [Digest, Buffer] => [content.digest, content.bytes]))
    return intake.pack(
      [...once].map(([digest, bytes]) => ({ digest, bytes })),
      NEVER,
    )
  }

  /**
   * When one file may be the reason, the rest is tried in halves, down to one: then the failure is its own, and the others have none.
   * Everything else is everybody's at once. Above all what is not known to have been rolled back: a file that is tried again would
   * find itself, and be refused.
   */
  async function commit(files: readonly SmallFile[], packed: PackedBlobs, packings = 1): Promise<Outcome[]> {
    try {
      const answers = await settle(() => db.transact((trx) => write(trx, files, packed)))
      return files.map((small) => answers.get(small)!)
    } catch (error) {
      if (isGivenUp(error) && packings < MOST_PACKINGS) return commit(files, await pack(files), packings + 1)
      if (files.length === 1 || !mayBeOfOne(error)) return files.map(() => ({ error }))
      const middle = files.length >> 1
      const first = await commit(files.slice(0, middle), packed, packings)
      return [...first, ...(await commit(files.slice(middle), packed, packings))]
    }
  }

  const queue = createGroupQueue<SmallFile, NodeRecord>({
    mostItems: MOST_FILES,
    mostBytes: MOST_BYTES,
    bytesOf: ({ content }) => content.bytes.length,
    keyOf: ({ repository, file }) => `${repository.id}:${file.path}`,
    async run(files) {
      const answers = await firstLook(files)
      const welcome = files.filter((small) => !answers.has(small))
      const placed = welcome.length === 0 ? [] : await commit(welcome, await pack(welcome))
      for (const [index, small] of welcome.entries()) answers.set(small, placed[index]!)
      return files.map((small) => answers.get(small)!)
    },
  })
  return { place: (small, signal) => queue.add(small, signal) }
}

type Outcome = Answer<NodeRecord>
type Answered = Map<SmallFile, Outcome>
type Rows = Awaited<ReturnType<typeof lockLive>>

/** Everybody locks repositories in this order. */
const byRepository = ([a]: readonly SmallFile[], [b]: readonly SmallFile[]): number =>
  a!.repository.id - b!.repository.id

const groupBy = <T>(items: readonly T[], keyOf: (item: T) => unknown): T[][] => [...Map.groupBy(items, keyOf).values()]

/** SQLSTATE: data exceptions and violated constraints. */
const OF_DATA = /^2[23]...$/
/** Primary result codes of SQLite: SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH. */
const SQLITE_OF_DATA = new Set([18, 19, 20])

/** A refusal or a wrong value, after which the transaction was rolled back; not a connection, a disk, or something unknown. */
function mayBeOfOne(error: unknown): boolean {
  if (error instanceof AppError) return error.code !== 'STORAGE_UNAVAILABLE' && !isGivenUp(error)
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }
  if (typeof errcode === 'number') return SQLITE_OF_DATA.has(errcode & 0xff)
  return typeof code === 'string' && OF_DATA.test(code)
}

function refusalOf(check: () => void): unknown {
  try {
    check()
    return undefined
  } catch (error) {
    return error
  }
}
