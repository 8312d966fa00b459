/**
 * CRC-64/XZ, which object stores and their clients call "crc64ecma": polynomial of ECMA-182, reflected, start and end inverted;
 * `123456789` gives 0x995DC9BBDF1939FA. On the wire it is the value as an unsigned decimal, e.g. `11051210869376104954`.
 */
export interface Crc64 {
  update(chunk: Uint8Array): void
  /** Decimal, of all bytes so far. */
  value(): string
}

/** 0xC96C5795D7870F42, bits in reverse order of the polynomial's. JavaScript computes with 32 bits, so all is kept in two halves. */
const POLYNOMIAL = { high: 0xc96c5795, low: 0xd7870f42 }
/** Bytes that one step takes in: table `n` says what a byte does that `n` more of the step follow. */
const STEP_BYTES = 8
const { HIGH, LOW } = makeTables()

/** About 500 MiB/s on one core: for who asks, not for everybody (architecture, decision 12). */
export function createCrc64(): Crc64 {
  let high = -1
  let low = -1
  return {
    update(chunk) {
      let [h, l] = [high, low]
      const steps = chunk.length - (chunk.length % STEP_BYTES)
      let at = 0
      for (; at < steps; at += STEP_BYTES) {
        l ^= chunk[at]! | (chunk[at + 1]! << 8) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 24)
        h ^= chunk[at + 4]! | (chunk[at + 5]! << 8) | (chunk[at + 6]! << 16) | (chunk[at + 7]! << 24)
        const [a, b, c, d] = [1792 | (l & 255), 1536 | ((l >>> 8) & 255), 1280 | ((l >>> 16) & 255), 1024 | (l >>> 24)]
        const [e, f, g, i] = [768 | (h & 255), 512 | ((h >>> 8) & 255), 256 | ((h >>> 16) & 255), h >>> 24]
        l = LOW[a]! ^ LOW[b]! ^ LOW[c]! ^ LOW[d]! ^ LOW[e]! ^ LOW[f]! ^ LOW[g]! ^ LOW[i]!
        h = HIGH[a]! ^ HIGH[b]! ^ HIGH[c]! ^ HIGH[d]! ^ HIGH[e]! ^ HIGH[f]! ^ HIGH[g]! ^ HIGH[i]!
      }
      for (; at < chunk.length; at++) {
        const index = (l ^ chunk[at]!) & 255
        l = ((l >>> 8) | (h << 24)) ^ LOW[index]!
        h = (h >>> 8) ^ HIGH[index]!
      }
      high = h
      low = l
    },
    value: () => ((BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0)).toString(),
  }
}

const DECIMAL = /^\d{1,20}$/
const LARGEST = (1n << 64n) - 1n

/** @returns the value without leading zeros; undefined when the text is no unsigned decimal of 64 bits. */
export function parseCrc64(text: string): string | undefined {
  const value = DECIMAL.test(text) ? BigInt(text) : undefined
  return value === undefined || value > LARGEST ? undefined : value.toString()
}

function makeTables(): { readonly HIGH: Int32Array; readonly LOW: Int32Array } {
  const tables = { HIGH: new Int32Array(256 * STEP_BYTES), LOW: new Int32Array(256 * STEP_BYTES) }
  for (let byte = 0; byte < 256; byte++) {
    let [high, low] = [0, byte]
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1
      low = (low >>> 1) | (high << 31)
      high >>>= 1
      if (carry === 0) continue
      low ^= POLYNOMIAL.low
      high ^= POLYNOMIAL.high
    }
    tables.HIGH[byte] = high
    tables.LOW[byte] = low
  }
  for (let at = 256; at < 256 * STEP_BYTES; at++) {
    const [high, low] = [tables.HIGH[at - 256]!, tables.LOW[at - 256]!]
    tables.LOW[at] = ((low >>> 8) | (high << 24)) ^ tables.LOW[low & 255]!
    tables.HIGH[at] = (high >>> 8) ^ tables.HIGH[low & 255]!
  }
  return tables
}
