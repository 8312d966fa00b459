import { type Digest, digestBytes } from '../../../core/digest.ts'

/** What lies in data objects: contents, parts of record files, and the digests that a part's records name. */
const KINDS = { content: 1, records: 2, needs: 3 } as const
export type EntryKind = keyof typeof KINDS

/** Kind and 32 bytes of a digest; names an entry in indexes, trailers and seals. */
export const KEY_BYTES = 33

/** @param digest 32 bytes; of `needs`, that of the part they belong to. */
export function entryKey(kind: EntryKind, digest: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES)
  key.set(digest)
  key[32] = KINDS[kind]
  return key
}
export const contentKey = (digest: Digest): Buffer => entryKey('content', digestBytes(digest))
/** Of what belongs to no entry: trailers, and objects of one frame. */
export const NO_KEY: Buffer = Buffer.alloc(KEY_BYTES)
export const isContent = (key: Uint8Array): boolean => key[32] === KINDS.content
export const isKnownKind = (key: Uint8Array): boolean => key[32]! >= KINDS.content && key[32]! <= KINDS.needs

/** Where an entry lies. Bytes. */
export interface EntryPlace {
  /** Hex. */
  readonly object: string
  readonly offset: number
  readonly storedBytes: number
  readonly plainBytes: number
}
export interface Entry extends EntryPlace {
  readonly key: Buffer
}
