import { isUtf8 } from 'node:buffer'
import { broken } from './frame-limits.ts'

/** 2^53 = 2^25 times 2^28. */
const HIGH_LIMIT = 0x200_0000
/** JSON deeper than this would be a burden to whatever walks through it. */
const MAX_JSON_DEPTH = 100

/** Takes values off one payload. Whatever is not there, or is too long, is refused with ARTIFACT_BROKEN. */
export class ByteReader {
  readonly #bytes: Buffer
  #at: number
  readonly #end: number
  /** @param what names the frame in refusals. */
  readonly #what: string
  constructor(bytes: Buffer, start: number, end: number, what: string) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#what = what
  }

  get left(): number {
    return this.#end - this.#at
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!
  }
  i32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }
  time(): number {
    return this.#bytes.readUIntBE(this.#take(6), 6)
  }
  varint(): number {
    const first = this.u8()
    if (first < 0x80) return first
    let [low, high] = [first & 0x7f, 0]
    // 28 bits in one number and what is above in another: bit operations end at 32.
    for (let shift = 7; ; shift += 7) {
      const byte = this.u8()
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else high |= bits << (shift - 28)
      if (byte < 0x80) {
        if (byte === 0) throw broken(`a number in ${this.#what} is padded`)
        break
      }
      if (shift >= 49) throw broken(`a number in ${this.#what} is too long`)
    }
    if (high >= HIGH_LIMIT) throw broken(`a number in ${this.#what} is too large`)
    return high * 0x1000_0000 + low
  }
  hex(bytes: number): string {
    const at = this.#take(bytes)
    return this.#bytes.toString('hex', at, at + bytes)
  }
  text(maxBytes: number): string {
    const length = this.#length(maxBytes)
    const at = this.#take(length)
    const text = this.#bytes.toString('utf8', at, at + length)
    if (text.includes('\ufffd') && !isUtf8(this.#bytes.subarray(at, at + length))) {
      throw broken(`a text in ${this.#what} is not UTF-8`)
    }
    return text
  }
  /** @returns undefined for an empty text. */
  json(maxBytes: number): unknown {
    const text = this.text(maxBytes)
    if (text === '') return undefined
    return this.#parsed(text)
  }
  /** What is left is one text. */
  allJson(): unknown {
    const rest = this.rest()
    if (!isUtf8(rest)) throw broken(`a text in ${this.#what} is not UTF-8`)
    return this.#parsed(rest.toString())
  }
  /** A copy: what it lies in may be large. */
  bytes(count: number): Buffer {
    const at = this.#take(count)
    return Buffer.from(this.#bytes.subarray(at, at + count))
  }
  /** What is left, not copied. */
  rest(): Buffer {
    const rest = this.#bytes.subarray(this.#at, this.#end)
    this.#at = this.#end
    return rest
  }
  count(most: number): number {
    const count = this.varint()
    if (count > most || count > this.left) throw broken(`${this.#what} lists ${count} things, more than it may`)
    return count
  }
  done(): void {
    if (this.#at !== this.#end) throw broken(`${this.#what} has ${this.left} bytes too many`)
  }

  #take(count: number): number {
    const at = this.#at
    if (at + count > this.#end) throw broken(`${this.#what} ends too early`)
    this.#at = at + count
    return at
  }
  #length(maxBytes: number): number {
    const length = this.varint()
    if (length > maxBytes) throw broken(`a text in ${this.#what} has ${length} bytes, more than ${maxBytes}`)
    return length
  }
  #parsed(text: string): unknown {
    if (jsonDepth(text) > MAX_JSON_DEPTH) throw broken(`the JSON in ${this.#what} is nested too deeply`)
    try {
      return JSON.parse(text)
    } catch (error) {
      throw broken(`the JSON in ${this.#what} cannot be read: ${(error as Error).message.slice(0, 100)}`)
    }
  }
}

function jsonDepth(text: string): number {
  let [depth, deepest, inText] = [0, 0, false]
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (inText) {
      if (char === 0x5c) at++
      else if (char === 0x22) inText = false
    } else if (char === 0x22) inText = true
    else if (char === 0x5b || char === 0x7b) deepest = Math.max(deepest, ++depth)
    else if (char === 0x5d || char === 0x7d) depth--
  }
  return deepest
}
