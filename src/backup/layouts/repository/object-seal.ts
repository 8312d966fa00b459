import { hkdfSync } from 'node:crypto'
import { AppError } from '../../../core/errors.ts'

/** What an object of a repository is; part of its header and of what its key is made from. */
const KINDS = { data: 1, index: 2, snapshot: 3, marks: 4 } as const
export type ObjectKind = keyof typeof KINDS

const MAGIC = Buffer.from('EBKP')
const VERSION = 1
const SUMS = 0
const AES_256_GCM = 1
/** Magic, version, kind, sealing, zero. */
const FIXED_BYTES = 8
const SALT_BYTES = 32
export const HEADER_BYTES = FIXED_BYTES + SALT_BYTES
export const OBJECT_ID_BYTES = 16

/** How the frames of one object are sealed; goes to threads as it is. */
export interface ObjectSeal {
  /** First bytes of the object. */
  readonly header: Uint8Array
  /** 16 bytes; the frames of another object do not open with them. */
  readonly id: Uint8Array
  /** 32 bytes, of this object alone; undefined: frames have sums. */
  readonly key: Uint8Array | undefined
}

/** Of an object to be written. @param salt 32 random bytes. */
export function newSeal(kind: ObjectKind, id: Buffer, master: Buffer | undefined, salt: Buffer): ObjectSeal {
  const sealing = master === undefined ? SUMS : AES_256_GCM
  const fixed = Buffer.from([...MAGIC, VERSION, KINDS[kind], sealing, 0])
  const header = Buffer.concat([fixed, master === undefined ? Buffer.alloc(SALT_BYTES) : salt])
  return { header, id, key: keyOf(header, id, master) }
}

/** Of an object that is there. @throws AppError ARTIFACT_BROKEN. */
export function readSeal(kind: ObjectKind, id: Buffer, master: Buffer | undefined, header: Buffer): ObjectSeal {
  const expected = newSeal(kind, id, master, header.subarray(FIXED_BYTES, HEADER_BYTES))
  if (!header.equals(expected.header)) throw brokenObject('its header is not what it was')
  return expected
}

export const brokenObject = (why: string): AppError =>
  new AppError('ARTIFACT_BROKEN', `An object of the backup repository is damaged: ${why}`)

/** No two objects have a key in common, so that nonces need to differ within an object only. */
function keyOf(header: Buffer, id: Buffer, master: Buffer | undefined): Uint8Array | undefined {
  if (master === undefined) return undefined
  const info = Buffer.concat([Buffer.from('entrepot backup object'), header.subarray(0, FIXED_BYTES), id])
  return new Uint8Array(hkdfSync('sha256', master, header.subarray(FIXED_BYTES), info, 32))
}
