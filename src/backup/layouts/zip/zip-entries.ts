import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl'
import { AppError, messageOf } from '../../../core/errors.ts'
import type { ObjectReader } from '../../../storage/backup-location.ts'
import { shown } from '../../../storage/object-name.ts'

export interface ZipEntry {
  /** With `/` only. */
  readonly name: string
  /** As it stands in the archive. */
  readonly rawName: Buffer
  /** Of its local header. */
  readonly offset: number
  readonly isDeflated: boolean
  readonly packedBytes: number
  readonly sizeBytes: number
  readonly crc32: number
}

export const MOST_ENTRIES = 4_000_000
/** Of what a zip unpacks to, and its own bytes. Ordinary contents reach ten, zeros a thousand. */
const MOST_RATIO = 200
/** Unpacked, for which nobody asks about the ratio. */
const HARMLESS_BYTES = 1024 * 1024
const WINDOW_BYTES = 256 * 1024
const LOCAL_HEADER_BYTES = 30
const STORED = 0
const DEFLATED = 8
const ENCRYPTED = 1
/** Of the mode of a Unix file, which its attributes have in their upper half. */
const FILE_TYPE = 0o170000
const PLAIN_FILE = 0o100000
const FOLDER = 0o040000

/**
 * What a zip holds, by name, without folders. Nothing is unpacked.
 * @throws AppError ARTIFACT_BROKEN when it is no zip, is damaged, or is made to do harm.
 */
export async function readZipEntries(
  object: ObjectReader,
  path: string,
  signal: AbortSignal,
): Promise<Map<string, ZipEntry>> {
  const refuse = (why: string) => new AppError('ARTIFACT_BROKEN', `[${path}] is not taken as a backup: ${why}`, {})
  const reader = new WindowReader(object, signal)
  const entries = new Map<string, ZipEntry>()
  let zip: ZipFile | undefined
  try {
    const opening = fromRandomAccessReaderPromise(reader, object.sizeBytes, { decodeStrings: false, autoClose: false })
    zip = await Promise.race([opening, reader.stumbled])
    reader.tell = (error) => zip?.emit('error', error)
    if (zip.entryCount > MOST_ENTRIES)
      throw refuse(`it has ${zip.entryCount} entries, and ${MOST_ENTRIES} are the most`)
    for await (const entry of zip.eachEntry()) {
      signal.throwIfAborted()
      const found = entryOf(entry, refuse)
      if (found === undefined) continue
      if (entries.has(found.name)) throw refuse(`it has the entry [${shown(found.name)}] twice`)
      entries.set(found.name, found)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof AppError ? error : refuse(`it is no whole zip: ${messageOf(error)}`)
  } finally {
    zip?.close()
  }
  checkSizes([...entries.values()], object.sizeBytes, refuse)
  return entries
}

function entryOf(entry: Entry, refuse: (why: string) => AppError): ZipEntry | undefined {
  const name = entry.fileNameRaw.toString('utf8').replaceAll('\\', '/')
  const wrong = wrongName(name)
  if (wrong !== undefined) throw refuse(`the name of its entry [${shown(name)}] ${wrong}`)
  const type = (entry.externalFileAttributes >>> 16) & FILE_TYPE
  const isFolder = name.endsWith('/')
  if (type !== 0 && type !== PLAIN_FILE && !(isFolder && type === FOLDER)) {
    throw refuse(`its entry [${shown(name)}] is a link, or no plain file`)
  }
  const { compressionMethod, compressedSize, uncompressedSize } = entry
  if ((entry.generalPurposeBitFlag & ENCRYPTED) !== 0) throw refuse(`its entry [${shown(name)}] is encrypted`)
  const isStored = compressionMethod === STORED && compressedSize === uncompressedSize
  if (!isStored && compressionMethod !== DEFLATED)
    throw refuse(`its entry [${shown(name)}] is packed in a way unknown here`)
  if (isFolder) {
    if (uncompressedSize !== 0) throw refuse(`its folder [${shown(name)}] has bytes`)
    return undefined
  }
  return {
    name,
    rawName: entry.fileNameRaw,
    offset: entry.relativeOffsetOfLocalHeader,
    isDeflated: !isStored,
    packedBytes: compressedSize,
    sizeBytes: uncompressedSize,
    crc32: entry.crc32,
  }
}

/** What is wrong with a name, which has no `\` any more. */
function wrongName(name: string): string | undefined {
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'holds a control character'
  if (name.startsWith('/')) return 'is absolute'
  if (/^[A-Za-z]:/.test(name)) return 'names a drive'
  const segments = (name.endsWith('/') ? name.slice(0, -1) : name).split('/')
  if (segments.includes('..')) return 'climbs out with ..'
  if (segments.some((segment) => segment === '' || segment === '.')) return 'has an empty part'
  return undefined
}

/** Entries must not share bytes, nor unpack to far more than there is: then a small file would fill a disk. */
function checkSizes(entries: readonly ZipEntry[], zipBytes: number, refuse: (why: string) => AppError): void {
  const total = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  if (!(total <= HARMLESS_BYTES + MOST_RATIO * zipBytes)) {
    throw refuse(`its ${zipBytes} bytes say that they unpack to ${total}: more than ${MOST_RATIO} times as many`)
  }
  let end = 0
  for (const { name, offset, packedBytes } of entries.toSorted((a, b) => a.offset - b.offset)) {
    if (offset < end) throw refuse(`its entry [${shown(name)}] shares bytes with another one`)
    end = offset + LOCAL_HEADER_BYTES + packedBytes
    if (end > zipBytes) throw refuse(`its entry [${shown(name)}] ends after the file`)
  }
}

/** Reads the records of a directory, which lie one after the other, in few reads. */
class WindowReader extends RandomAccessReader {
  /** Hears of what the parser throws in a callback, where nobody else would. */
  tell: (error: unknown) => void
  readonly stumbled: Promise<never>
  readonly #object: ObjectReader
  readonly #signal: AbortSignal
  #window: Buffer = Buffer.alloc(0)
  #start = 0
  constructor(object: ObjectReader, signal: AbortSignal) {
    super()
    this.#object = object
    this.#signal = signal
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => undefined)
    this.stumbled = promise
    this.tell = reject
  }
  override read(
    into: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    this.#copy(into, offset, length, position)
      .then(
        () => callback(null),
        (error: Error) => callback(error),
      )
      .catch((error) => this.tell(error))
  }
  async #copy(into: Buffer, offset: number, length: number, position: number): Promise<void> {
    if (position < this.#start || position + length > this.#start + this.#window.length) {
      const bytes = Buffer.allocUnsafeSlow(Math.max(length, WINDOW_BYTES))
      const count = await this.#object.read(bytes, position, this.#signal)
      this.#window = bytes.subarray(0, count)
      this.#start = position
    }
    const from = position - this.#start
    if (this.#window.length < from + length) throw new Error('unexpected end of file')
    this.#window.copy(into, offset, from, from + length)
  }
}
