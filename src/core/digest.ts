import { hash } from 'node:crypto'

/** `sha256:` and 64 lower-case hex digits. */
export type Digest = string & { readonly __brand: 'Digest' }

const HEX = /^[0-9a-f]{64}$/

/** @returns undefined when `hex` is not 64 hex digits (either case). */
export function parseDigest(hex: string): Digest | undefined {
  const lower = hex.toLowerCase()
  return HEX.test(lower) ? (`sha256:${lower}` as Digest) : undefined
}
export const digestHex = (digest: Digest): string => digest.slice(7)
export const digestBytes = (digest: Digest): Buffer => Buffer.from(digest.slice(7), 'hex')
/** @param bytes 32 bytes, as stored in the database and sent on the wire. */
export function digestFromBytes(bytes: Uint8Array): Digest {
  return `sha256:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}` as Digest
}
export function digestOfBytes(bytes: Uint8Array | string): Digest {
  return `sha256:${hash('sha256', bytes)}` as Digest
}
