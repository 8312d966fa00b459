import type { SegmentRef } from '../../segments/segment-index.ts'
import { hasErrno } from '../directories.ts'
import { openRawFile, type RawFile } from '../raw-file.ts'
import { segmentPath } from './segment-directory.ts'

/** Segments that are open for reading. A file that was removed is read to the end by those who hold it. */
export interface SegmentFiles {
  /** To be released by whoever got it. @returns undefined when there is no such file. */
  hold(ref: SegmentRef): Promise<HeldSegment | undefined>
  /** The file is going to be removed, or is to be opened anew. */
  forget(ref: SegmentRef): void
  close(): void
}
export interface HeldSegment extends Disposable {
  readonly file: RawFile
}

interface Entry {
  readonly opening: Promise<RawFile | undefined>
  users: number
  isForgotten: boolean
}

const KEPT_OPEN = 64

export function createSegmentFiles(root: string, keptOpen = KEPT_OPEN): SegmentFiles {
  /** In order of their last use. */
  const entries = new Map<string, Entry>()
  const keyOf = ({ owner, segment }: SegmentRef): string => `${owner}/${segment}`

  function forgetKey(key: string): void {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    entry.isForgotten = true
    if (entry.users === 0) closeEntry(entry)
  }
  function release(entry: Entry): void {
    entry.users--
    if (entry.users === 0 && entry.isForgotten) closeEntry(entry)
  }
  /** Another process may have removed files that are open here: as long as they are, they take space. */
  async function forgetRemoved(): Promise<void> {
    for (const [key, entry] of [...entries]) {
      const file = await entry.opening.catch(() => undefined)
      if (entries.get(key) !== entry || entry.users > 0) continue
      if (entries.size > keptOpen || file === undefined || (await file.stat()).nlink === 0) forgetKey(key)
    }
  }
  function open(ref: SegmentRef, key: string): Entry {
    const opening = openRawFile(segmentPath(root, ref), 'r').catch((error: unknown) => {
      forgetKey(key)
      if (hasErrno(error, 'ENOENT')) return undefined
      throw error
    })
    const entry: Entry = { opening, users: 0, isForgotten: false }
    entries.set(key, entry)
    void forgetRemoved().catch(() => {})
    return entry
  }

  return {
    async hold(ref) {
      const key = keyOf(ref)
      const known = entries.get(key)
      if (known !== undefined) entries.delete(key)
      const entry = known ?? open(ref, key)
      entries.set(key, entry)
      entry.users++
      try {
        const file = await entry.opening
        if (file !== undefined) return { file, [Symbol.dispose]: () => release(entry) }
      } catch (error) {
        release(entry)
        throw error
      }
      release(entry)
      return undefined
    },
    forget: (ref) => forgetKey(keyOf(ref)),
    close() {
      for (const key of [...entries.keys()]) forgetKey(key)
    },
  }
}

function closeEntry({ opening }: Entry): void {
  opening.then((file) => file?.close()).catch(() => {})
}
