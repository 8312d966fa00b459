import { hash } from 'node:crypto'
import { createCrc64 } from '../../core/crc64.ts'
import type { Digest } from '../../core/digest.ts'
import { isPackagePath, type PackageKey, versionPath } from '../../core/package-key.ts'
import { type NodePath, parentOf, ROOT } from '../../core/paths.ts'
import type {
  ContentFrame,
  DeleteFrame,
  EntryFrame,
  ItemException,
  MetadataFrame,
  VersionFrame,
} from '../../remotes/cluster/frames/frame.ts'
import type { SmallContent } from '../../storage/blob-store.ts'
import { createParentLookup } from './parent-lookup.ts'

export type ItemFrame = FileFrame | VersionFrame | ContentFrame
export type FileFrame = EntryFrame | DeleteFrame | MetadataFrame

/** About a version or a package: such items are written in transactions of their own, since these lock in another order. */
export const isPackageItem = (frame: ItemFrame): frame is VersionFrame | DeleteFrame =>
  frame.type === 'version' || (frame.type === 'delete' && isPackagePath(frame.path))

/** What one transaction takes. */
export interface IncomingBatch {
  readonly items: readonly ItemFrame[]
  /** By item: those whose content is not what they say. */
  readonly broken: ReadonlyMap<number, Fault>
  /** Each once, hashed. */
  readonly contents: ReadonlyMap<Digest, SmallContent>
  readonly contentBytes: number
  /** Number of the last item of the stream up to here, and `seq` of the last barrier. */
  readonly hi: number
  readonly seq: number
}
export type Fault = Pick<ItemException, 'result' | 'reason'>

export interface BatchBuilder {
  /**
   * False: full, a path of the batch is this one, lies above it or below it, or it is about versions where the batch is about files: the item
   * has to wait for the next batch.
   */
  take(frame: ItemFrame): boolean
  barrier(seq: number): void
  readonly isEmpty: boolean
  readonly isFull: boolean
  /** The batch as it is; the builder begins anew. */
  seal(): IncomingBatch
}

const MAX_ITEMS = 500
const MAX_CONTENT_BYTES = 4 * 1024 * 1024

/** Collects the items of one stream, and hashes their contents as they come. */
export function createBatchBuilder(): BatchBuilder {
  let [hi, seq] = [0, 0]
  let batch = emptyBatch()
  const parentAt = createParentLookup()

  /** Two items that cannot stand in one transaction side by side follow each other in two. */
  function collides({ path }: FileFrame): boolean {
    const { files, folders } = batch
    if (files.has(path) || folders.has(path)) return true
    for (let folder = parentAt(path as NodePath); folder !== ROOT; folder = parentOf(folder)) {
      if (folders.has(folder)) return false
      if (files.has(folder)) return true
    }
    return false
  }
  function note({ path }: FileFrame): void {
    batch.files.add(path)
    for (let folder = parentAt(path as NodePath); folder !== ROOT; folder = parentOf(folder)) {
      if (batch.folders.has(folder)) break
      batch.folders.add(folder)
    }
  }
  function keepContent(frame: EntryFrame | ContentFrame, content: Buffer): void {
    batch.contentBytes += content.length
    const fault = frame.type === 'entry' ? faultOf(frame, content) : damageOf(frame)
    if (fault === undefined) batch.contents.set(frame.digest, { digest: frame.digest, bytes: content })
    else batch.broken.set(frame.item, fault)
  }
  /** Versions may share a file, as long as it has the same bytes. */
  function takePackage(frame: VersionFrame | DeleteFrame): boolean {
    const name = frame.type === 'version' ? versionPath(frame.packageKey as PackageKey, frame.version) : frame.path
    const files = frame.type === 'version' ? frame.document.files : []
    if (batch.kind === 'files' || batch.names.has(name)) return false
    if (files.some(({ path, digest }) => (batch.digests.get(path) ?? digest) !== digest)) return false
    if (batch.rows > 0 && batch.rows + files.length > MAX_ITEMS) return false
    batch.kind = 'packages'
    batch.names.add(name)
    for (const { path, digest } of files) batch.digests.set(path, digest)
    batch.rows += Math.max(1, files.length)
    return true
  }
  function takeFile(frame: FileFrame): boolean {
    if (batch.kind === 'packages' || collides(frame)) return false
    batch.kind = 'files'
    note(frame)
    batch.rows++
    return true
  }
  const hasRoom = (frame: ItemFrame): boolean => {
    if (frame.type === 'content') return true
    return isPackageItem(frame) ? takePackage(frame) : takeFile(frame)
  }

  return {
    take(frame) {
      if (!hasRoom(frame)) return false
      batch.items.push(frame)
      hi = frame.item
      const carriesContent = frame.type === 'entry' || frame.type === 'content'
      if (carriesContent && frame.content !== undefined) keepContent(frame, frame.content)
      return true
    },
    barrier(reached) {
      seq = reached
    },
    get isEmpty() {
      return batch.items.length === 0
    },
    get isFull() {
      return batch.items.length >= MAX_ITEMS || batch.rows >= MAX_ITEMS || batch.contentBytes >= MAX_CONTENT_BYTES
    },
    seal() {
      const { items, broken, contents, contentBytes } = batch
      batch = emptyBatch()
      return { items, broken, contents, contentBytes, hi, seq }
    },
  }
}

const emptyBatch = () => ({
  items: [] as ItemFrame[],
  broken: new Map<number, Fault>(),
  contents: new Map<Digest, SmallContent>(),
  contentBytes: 0,
  files: new Set<string>(),
  folders: new Set<string>(),
  kind: undefined as 'files' | 'packages' | undefined,
  /** Of nodes, about. */
  rows: 0,
  names: new Set<string>(),
  digests: new Map<string, Digest>(),
})

function damageOf({ digest, content }: Pick<ContentFrame, 'digest' | 'content'>): Fault | undefined {
  if (`sha256:${hash('sha256', content, 'hex')}` === digest) return undefined
  return { result: 'retry', reason: 'its content does not hash to its sha256: it was damaged on its way' }
}

/** What is sent here is checked here, all that the entry says of it. */
function faultOf({ digest, sizeBytes, md5, crc64 }: EntryFrame, content: Buffer): Fault | undefined {
  if (content.length !== sizeBytes) {
    return { result: 'refused', reason: `its content has ${content.length} bytes, not ${sizeBytes} as it says` }
  }
  const damage = damageOf({ digest, content })
  if (damage !== undefined) return damage
  if (md5 !== null && hash('md5', content, 'hex') !== md5)
    return { result: 'refused', reason: 'its md5 is not that of its content' }
  if (crc64 !== null && crc64Of(content) !== crc64)
    return { result: 'refused', reason: 'its crc64 is not that of its content' }
  return undefined
}

function crc64Of(content: Buffer): string {
  const crc64 = createCrc64()
  crc64.update(content)
  return crc64.value()
}
