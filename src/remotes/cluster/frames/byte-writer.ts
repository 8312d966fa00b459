import { FRAME_BYTES, PREFIX_BYTES } from './frame-limits.ts'

const BLOCK_BYTES = 64 * 1024
/** Larger pieces go out as they are; copying smaller ones costs less than a write of their own. */
const COPIED_BYTES = 16 * 1024

/** Text of digits 0-9a-f, two a byte. */
export type Hex = string

/** Puts frames one behind the other into blocks of memory: `open`, the values of the payload, `close`, maybe `content`. */
export class ByteWriter {
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  #from = 0
  #at = 0
  #frame = 0
  #full: Buffer[] = []
  #fullBytes = 0

  /** Bytes that wait to be taken. */
  get bytes(): number {
    return this.#fullBytes + this.#at - this.#from
  }

  /** Begins a frame. @param payloadBytes at least as many as will be written before `close`. */
  open(type: number, item: number, payloadBytes: number): void {
    this.#reserve(PREFIX_BYTES + payloadBytes)
    this.#frame = this.#at
    this.#at += 4
    this.u8(type)
    this.u8(0)
    this.u32(item)
  }
  /**
   * Ends the frame. @param contentBytes of the `content` that follows as a part of it.
   * @returns bytes of the frame. @throws RangeError when it is too large without its content, which takes it back.
   */
  close(contentBytes: number): number {
    const bytes = this.#at - this.#frame
    if (bytes > FRAME_BYTES) {
      this.cancel()
      throw new RangeError(`it takes ${bytes} bytes, more than ${FRAME_BYTES}`)
    }
    this.#block.writeUInt32BE(bytes - 4 + contentBytes, this.#frame)
    return bytes + contentBytes
  }
  /** Takes back the frame that was opened last and not closed. */
  cancel(): void {
    this.#at = this.#frame
  }

  u8(value: number): void {
    this.#block[this.#at++] = value
  }
  u32(value: number): void {
    const block = this.#block
    block[this.#at++] = value >>> 24
    block[this.#at++] = value >>> 16
    block[this.#at++] = value >>> 8
    block[this.#at++] = value
  }
  /** UTC epoch milliseconds in 6 bytes. @throws RangeError when negative. */
  time(ms: number): void {
    this.#at = this.#block.writeUIntBE(ms, this.#at, 6)
  }
  /** Little end first, seven bits a byte; up to 2^53 - 1. */
  varint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.#block[this.#at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#block[this.#at++] = rest
  }
  hex(digits: Hex): void {
    const bytes = this.#block.write(digits, this.#at, 'hex')
    if (bytes * 2 !== digits.length) throw new TypeError(`[${digits}] is not hex`)
    this.#at += bytes
  }
  /** Length in bytes, then UTF-8: at most `maxTextBytes`. */
  text(value: string): void {
    const { length } = value
    // Up to 42 characters are at most 126 bytes: the length takes one byte, and is known once they are written.
    if (length <= 42) {
      const bytes = this.#block.write(value, this.#at + 1)
      this.#block[this.#at] = bytes
      this.#at += 1 + bytes
      return
    }
    this.varint(Buffer.byteLength(value))
    this.#at += this.#block.write(value, this.#at)
  }
  raw(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#at)
    this.#at += bytes.length
  }
  /** After `close`: contents of any size; they must not change until they were sent. */
  content(bytes: Buffer): void {
    if (bytes.length <= COPIED_BYTES) {
      this.#reserve(bytes.length)
      this.raw(bytes)
      return
    }
    this.#seal()
    this.#full.push(bytes)
    this.#fullBytes += bytes.length
  }

  /** All that was written, in order; the writer goes on empty. */
  take(): Buffer[] {
    this.#seal()
    const taken = this.#full
    this.#full = []
    this.#fullBytes = 0
    return taken
  }
  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#block.length) return
    this.#seal()
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes))
    this.#from = this.#at = 0
  }
  #seal(): void {
    if (this.#at === this.#from) return
    this.#full.push(this.#block.subarray(this.#from, this.#at))
    this.#fullBytes += this.#at - this.#from
    this.#from = this.#at
  }
}

/** What `text` may take at most. */
export const maxTextBytes = (value: string): number => 5 + 3 * value.length
