import type { PackPlace, SmallContent } from '../../blob-store.ts'
import type { SegmentIndex, SegmentRef } from '../../segments/segment-index.ts'
import { hasErrno } from '../directories.ts'
import type { OpenRawFile } from '../raw-file.ts'
import { createSegment, type OpenSegment } from './open-segment.ts'
import { segmentPath } from './segment-directory.ts'

export interface SegmentWriterConfig {
  readonly root: string
  readonly owner: string
  readonly index: Pick<SegmentIndex, 'begin' | 'seal' | 'forget'>
  /** A segment that has grown so far is sealed. */
  readonly maxBytes: number
  readonly openFile: OpenRawFile
  /** Hears of segments that could not be sealed yet. */
  readonly onError: (error: unknown) => void
}

/** Appends to the one open segment of this process. */
export interface SegmentWriter {
  /**
   * Durable when it resolves. Calls that come while a write is under way share the next one, and its sync. When a write fails, all
   * its callers hear of it, the segment is left as it was before, and the next call begins another.
   */
  append(contents: readonly SmallContent[]): Promise<PackPlace[]>
  /** Nothing is appended there from the next write on, should it be the open one. */
  leave(segment: SegmentRef): void
  /** Waits for what is under way. The segment stays open in the index: the next start seals it. */
  close(): Promise<void>
}

interface Waiting {
  readonly contents: readonly SmallContent[]
  readonly resolve: (places: PackPlace[]) => void
  readonly reject: (error: unknown) => void
}

/** More than this waits for the next sync. */
const GROUP_BYTES = 16 * 1024 * 1024
/** A number whose file exists already was given by another state of the database, to which the file is left. */
const NUMBERS_TRIED = 100

export function createSegmentWriter(config: SegmentWriterConfig): SegmentWriter {
  const { root, owner, index, maxBytes, openFile, onError } = config
  let waiting: Waiting[] = []
  let working: Promise<void> | undefined
  let current: OpenSegment | undefined
  let isLeft = false
  /** Durable bytes of segments that are done and not sealed in the index yet. */
  const unsealed = new Map<number, number>()

  async function begin(): Promise<OpenSegment> {
    for (let tried = 1; ; tried++) {
      const segment = await index.begin(owner)
      const ref = { owner, segment }
      try {
        return await createSegment(segmentPath(root, ref), ref, openFile)
      } catch (error) {
        unsealed.set(segment, 0)
        if (!hasErrno(error, 'EEXIST') || tried === NUMBERS_TRIED) throw error
      }
    }
  }

  /** Not waited for: in the database it may have to wait for transactions that rely on the segment. */
  function seal(): void {
    for (const [segment, bytes] of unsealed) {
      unsealed.delete(segment)
      const ref = { owner, segment }
      const sealed = bytes === 0 ? index.forget(ref) : index.seal(ref, bytes)
      sealed.catch((error) => {
        unsealed.set(segment, bytes)
        onError(error)
      })
    }
  }

  async function retire(): Promise<void> {
    if (current === undefined) return
    const done = current
    current = undefined
    isLeft = false
    unsealed.set(done.ref.segment, done.durableBytes())
    await done.close().catch(onError)
  }

  function takeGroup(): Waiting[] {
    let bytes = 0
    let count = 0
    while (count < waiting.length && (count === 0 || bytes < GROUP_BYTES)) {
      for (const content of waiting[count]!.contents) bytes += content.bytes.length
      count++
    }
    const group = waiting.slice(0, count)
    waiting = waiting.slice(count)
    return group
  }

  async function write(group: readonly Waiting[]): Promise<void> {
    try {
      if (current !== undefined && (isLeft || current.durableBytes() >= maxBytes)) await retire()
      current ??= await begin()
      const contents = group.length === 1 ? group[0]!.contents : group.flatMap((each) => each.contents)
      const places = await current.append(contents)
      let at = 0
      for (const { contents: own, resolve } of group) {
        resolve(places.slice(at, at + own.length))
        at += own.length
      }
    } catch (error) {
      // Once a sync has failed, a later one may succeed without these bytes: nothing is appended to this file again.
      await retire()
      for (const each of group) each.reject(error)
    }
    if (unsealed.size > 0) seal()
  }

  async function work(): Promise<void> {
    // Whoever calls in the same turn comes along.
    await undefined
    while (waiting.length > 0) await write(takeGroup())
    working = undefined
  }

  return {
    async append(contents) {
      if (contents.length === 0) return []
      return new Promise((resolve, reject) => {
        waiting.push({ contents, resolve, reject })
        working ??= work()
      })
    },
    leave({ segment }) {
      if (current?.ref.segment === segment) isLeft = true
    },
    async close() {
      await working
      const last = current
      current = undefined
      await last?.close()
    },
  }
}
