import { promisify } from 'node:util'
import { createDeflateRaw, type DeflateRaw, deflateRaw, deflateRawSync } from 'node:zlib'

const deflate = promisify(deflateRaw)

/** A third of the work of the default level, for a few per cent of the bytes. */
const LEVEL = 3
const SAMPLE_BYTES = 64 * 1024
/** Less is not worth looking at. */
const TINY_BYTES = 64
/** Deflating pays when it takes away a tenth. */
const PAYS = 0.9

/** How files begin that were made smaller already. */
const PACKED: readonly Buffer[] = [
  [0x1f, 0x8b],
  [0x50, 0x4b, 0x03, 0x04],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  [0x42, 0x5a, 0x68],
  [0x37, 0x7a, 0xbc, 0xaf],
  [0x89, 0x50, 0x4e, 0x47],
  [0xff, 0xd8, 0xff],
  [0x04, 0x22, 0x4d, 0x18],
].map((bytes) => Buffer.from(bytes))

const isPacked = (begin: Buffer): boolean => PACKED.some((magic) => begin.subarray(0, magic.length).equals(magic))

/** Whether to deflate a content that begins like this. */
export function paysToDeflate(begin: Buffer): boolean {
  if (begin.length === 0 || isPacked(begin)) return false
  const sample = begin.subarray(0, SAMPLE_BYTES)
  return deflateRawSync(sample, { level: 1 }).length < sample.length * PAYS
}

/** The bytes deflated; undefined: they are better stored. */
export async function packedBytesOf(bytes: Buffer): Promise<Buffer | undefined> {
  if (bytes.length < TINY_BYTES || isPacked(bytes)) return undefined
  const packed = await deflate(bytes, { level: LEVEL })
  return packed.length < bytes.length * PAYS ? packed : undefined
}

/** Deflates a content chunk by chunk. */
export interface Deflater extends Disposable {
  /** @returns what came out so far. The chunk is the caller's again. */
  add(chunk: Buffer): Promise<Buffer[]>
  end(): Promise<Buffer[]>
}

export function createDeflater(): Deflater {
  const stream: DeflateRaw = createDeflateRaw({ level: LEVEL })
  let out: Buffer[] = []
  stream.on('data', (chunk: Buffer) => out.push(chunk))
  const taken = (): Buffer[] => {
    const chunks = out
    out = []
    return chunks
  }
  return {
    async add(chunk) {
      await new Promise<void>((resolve, reject) => stream.write(chunk, (error) => (error ? reject(error) : resolve())))
      return taken()
    },
    async end() {
      await new Promise<void>((resolve, reject) => stream.once('error', reject).once('end', resolve).end())
      return taken()
    },
    [Symbol.dispose]: () => {
      stream.destroy()
    },
  }
}
