/** Digests as raw bytes in one piece of memory: 36 to 48 bytes each. */
export interface DigestSet {
  readonly size: number
  /** @param bytes 32 of them. @returns false when it is there already. */
  add(bytes: Uint8Array): boolean
  clear(): void
}

const DIGEST_BYTES = 32
const FIRST_CAPACITY = 1_024

export function createDigestSet(): DigestSet {
  let capacity = FIRST_CAPACITY
  let size = 0
  let digests = Buffer.allocUnsafeSlow(capacity * DIGEST_BYTES)
  /** Number of the digest from 1; 0: free. Half of them stay free. */
  let slots = new Int32Array(capacity * 2)

  /** A digest is as good as random: its first bytes are its hash. */
  function slotOf(bytes: Buffer): number {
    for (let slot = bytes.readUInt32LE(0) % slots.length; ; slot = (slot + 1) % slots.length) {
      const number = slots[slot]!
      if (number === 0) return slot
      const at = (number - 1) * DIGEST_BYTES
      if (digests.compare(bytes, 0, DIGEST_BYTES, at, at + DIGEST_BYTES) === 0) return slot
    }
  }
  function grow(): void {
    capacity *= 2
    const more = Buffer.allocUnsafeSlow(capacity * DIGEST_BYTES)
    digests.copy(more)
    digests = more
    slots = new Int32Array(capacity * 2)
    for (let index = 0; index < size; index++) {
      slots[slotOf(digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES))] = index + 1
    }
  }
  return {
    get size() {
      return size
    },
    add(given) {
      const bytes = Buffer.from(given.buffer, given.byteOffset, DIGEST_BYTES)
      let slot = slotOf(bytes)
      if (slots[slot] !== 0) return false
      if (size === capacity) {
        grow()
        slot = slotOf(bytes)
      }
      bytes.copy(digests, size * DIGEST_BYTES)
      slots[slot] = ++size
      return true
    },
    clear() {
      capacity = FIRST_CAPACITY
      size = 0
      digests = Buffer.allocUnsafeSlow(capacity * DIGEST_BYTES)
      slots = new Int32Array(capacity * 2)
    },
  }
}
