import { crc32 } from 'node:zlib'
import { broken } from './frame-limits.ts'

/**
 * Bytes of a stream with sums, so that a bit that fell over on the way is noticed before anything is made of it:
 *
 *     block := u32 bytes | u32 CRC-32 of the payload | u32 CRC-32 of these 8 bytes | payload
 *
 * Where a block ends says nothing about frames.
 */
const HEAD_BYTES = 12
/** Of the payload of one block. A reader holds so much before it passes anything on. */
const MAX_BLOCK_BYTES = 256 * 1024

/** Of a block that a reader holds, lest views of single bytes take more than the bytes. */
const MOST_PIECES = 256

/** A header on a request and an answer whose bodies are blocks. */
export const SEALED_HEADER = 'x-entrepot-sealed'
export const SEALED = { [SEALED_HEADER]: '1' } as const
export const isSealed = ({ headers }: { readonly headers: Readonly<Record<string, unknown>> }): boolean =>
  headers[SEALED_HEADER] === '1'

/** @returns the same bytes as blocks; what is large is not copied. */
export function seal(pieces: readonly Buffer[]): Buffer[] {
  const sealed: Buffer[] = []
  let block: Buffer[] = []
  let bytes = 0
  const close = () => {
    if (bytes > 0) sealed.push(headOf(block, bytes), ...block)
    block = []
    bytes = 0
  }
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + MAX_BLOCK_BYTES - bytes)
      block.push(part)
      bytes += part.length
      at += part.length
      if (bytes === MAX_BLOCK_BYTES) close()
    }
  }
  close()
  return sealed
}

function headOf(block: readonly Buffer[], bytes: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head.writeUInt32BE(bytes, 0)
  head.writeUInt32BE(
    block.reduce((sum, part) => crc32(part, sum), 0),
    4,
  )
  head.writeUInt32BE(crc32(head.subarray(0, 8)), 8)
  return head
}

/** Takes blocks that come in any pieces. @throws AppError ARTIFACT_BROKEN from both calls. */
export interface SealReader {
  /** @returns the payloads of the blocks that are whole with these bytes, in any pieces. */
  push(chunk: Buffer): Buffer[]
  /** The bytes ended. @throws when that was inside a block. */
  end(): void
}

export function createSealReader(): SealReader {
  const head = Buffer.alloc(HEAD_BYTES)
  let headBytes = 0
  /** Of the block whose head was read: what came of its payload, as it came, until its sum is known to be right. */
  let payload: { readonly sum: number; left: number; found: number; readonly pieces: Buffer[] } | undefined

  return {
    push(chunk) {
      const payloads: Buffer[] = []
      for (let at = 0; at < chunk.length; ) {
        if (payload === undefined) {
          const count = chunk.copy(head, headBytes, at)
          at += count
          headBytes += count
          if (headBytes < HEAD_BYTES) break
          const { wanted, payloadSum } = readHead(head)
          payload = { sum: payloadSum, left: wanted, found: 0, pieces: [] }
          headBytes = 0
          continue
        }
        const piece = chunk.subarray(at, at + payload.left)
        at += piece.length
        payload.left -= piece.length
        payload.found = crc32(piece, payload.found)
        if (payload.pieces.push(piece) === MOST_PIECES) payload.pieces.push(Buffer.concat(payload.pieces.splice(0)))
        if (payload.left > 0) break
        if (payload.found !== payload.sum) throw broken('its bytes changed on the way')
        payloads.push(...payload.pieces)
        payload = undefined
      }
      return payloads
    },
    end() {
      if (headBytes > 0 || payload !== undefined) throw broken('it ends inside a block')
    },
  }
}

function readHead(head: Buffer): { wanted: number; payloadSum: number } {
  const bytes = head.readUInt32BE(0)
  if (crc32(head.subarray(0, 8)) !== head.readUInt32BE(8)) throw broken('its bytes changed on the way')
  if (bytes === 0 || bytes > MAX_BLOCK_BYTES) throw broken(`a block of ${bytes} bytes`)
  return { wanted: bytes, payloadSum: head.readUInt32BE(4) }
}

/** CRC-32 of a whole body, eight hex digits; the side that gets it compares. */
export const BODY_SUM_HEADER = 'x-entrepot-crc32'
export const sumOfBody = (body: Buffer | string): string => crc32(body).toString(16).padStart(8, '0')
