import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { Semaphore } from '../../../core/concurrency.ts'
import type { FileDraft } from '../run-files.ts'
import { createDeflater, type Deflater, packedBytesOf, paysToDeflate } from './packing.ts'
import {
  centralRecord,
  type DosTime,
  dataDescriptor,
  endRecords,
  localHeader,
  type WrittenEntry,
} from './zip-records.ts'

/** Of what a zip unpacks to, and its own bytes: well below what readers take for a bomb (`zip-entries.ts`). */
const MOST_RATIO = 100
const FILLER = Buffer.alloc(64 * 1024)

/** Writes a zip from its beginning to its end. What is not kept leaves bytes that no entry has, which every reader skips. */
export interface ZipWriter {
  /** Several small ones, deflated at the same time where that pays. */
  addAll(files: readonly { readonly name: string; readonly bytes: Buffer }[]): Promise<void>
  /** One at a time: the next waits until the one before is disposed. */
  add(name: string): Promise<FileDraft>
  /** @returns hex sha256 of the whole file. Nothing is added afterwards. */
  end(): Promise<string>
}

/** @param take the bytes of the file, in order; one chunk at a time, which is not kept. */
export function createZipWriter(take: (bytes: Buffer) => Promise<void>, at: DosTime): ZipWriter {
  const turn = new Semaphore(1)
  const hash = createHash('sha256')
  /** Records of the entries that were kept. */
  const central: Buffer[] = []
  let position = 0
  let unpackedBytes = 0

  async function write(...chunks: readonly Buffer[]): Promise<void> {
    for (const chunk of chunks) {
      hash.update(chunk)
      position += chunk.length
      await take(chunk)
    }
  }
  function keep(entry: WrittenEntry): void {
    central.push(centralRecord(entry, at))
    unpackedBytes += entry.sizeBytes
  }
  /** Bytes that no entry has, after contents that shrank to almost nothing, as an empty disk does. */
  async function fill(): Promise<void> {
    for (let left = Math.ceil(unpackedBytes / MOST_RATIO) - position; left > 0; left -= FILLER.length) {
      await write(FILLER.subarray(0, left))
    }
  }

  /** An entry whose sizes are known at its end. */
  function openEntry(name: string, letNext: () => void): FileDraft {
    const offset = position
    let deflater: Deflater | undefined
    let method: WrittenEntry['method'] | undefined
    let crc = 0
    let sizeBytes = 0
    let packedBytes = 0
    const writePacked = async (chunks: readonly Buffer[]) => {
      for (const chunk of chunks) packedBytes += chunk.length
      await write(...chunks)
    }
    const begin = async (first: Buffer) => {
      method = paysToDeflate(first) ? 'deflated' : 'stored'
      if (method === 'deflated') deflater = createDeflater()
      const unknown = { crc32: 0, sizeBytes: 0, packedBytes: 0, isDescribedLater: true }
      await write(localHeader({ name, method, ...unknown }, at))
    }
    return {
      async write(chunk) {
        if (method === undefined) await begin(chunk)
        crc = crc32(chunk, crc)
        sizeBytes += chunk.length
        await writePacked(deflater === undefined ? [chunk] : await deflater.add(chunk))
      },
      async keep() {
        if (method === undefined) await begin(Buffer.alloc(0))
        if (deflater !== undefined) await writePacked(await deflater.end())
        const entry = { name, offset, method: method!, crc32: crc, sizeBytes, packedBytes, isDescribedLater: true }
        await write(dataDescriptor(entry))
        keep(entry)
      },
      async [Symbol.asyncDispose]() {
        deflater?.[Symbol.dispose]()
        letNext()
      },
    }
  }

  return {
    async addAll(files) {
      const packed = await Promise.all(files.map(({ bytes }) => packedBytesOf(bytes)))
      using _ = await turn.acquire()
      for (const [index, { name, bytes }] of files.entries()) {
        const body = packed[index] ?? bytes
        const entry: WrittenEntry = {
          ...{ name, offset: position, method: body === bytes ? 'stored' : 'deflated', crc32: crc32(bytes) },
          ...{ sizeBytes: bytes.length, packedBytes: body.length, isDescribedLater: false },
        }
        await write(localHeader(entry, at), body)
        keep(entry)
      }
    },
    async add(name) {
      const holder = await turn.acquire()
      return openEntry(name, () => holder[Symbol.dispose]())
    },
    async end() {
      using _ = await turn.acquire()
      await fill()
      const start = position
      await write(...central)
      await write(endRecords(central.length, start, position - start))
      return hash.digest('hex')
    },
  }
}
