import type { BackupLocation } from '../../../storage/backup-location.ts'
import { readExactly } from './data-object.ts'
import { NO_KEY } from './entry.ts'
import { frameOverhead, openFrame, sealedBytes, sealFrame } from './frame.ts'
import { brokenObject, HEADER_BYTES, newSeal, OBJECT_ID_BYTES, type ObjectKind, readSeal } from './object-seal.ts'

/** What objects of one frame are sealed with: indexes, snapshots, marks. */
export interface ObjectIdentity {
  readonly kind: ObjectKind
  /** 16 bytes. */
  readonly id: Buffer
  readonly master: Buffer | undefined
}

/** Larger ones are not written either: what nobody can read stops every prune. */
export const MOST_SNAPSHOT_BYTES = 512 * 1024 ** 2

/** @param salt 32 random bytes. */
export function sealObject({ kind, id, master }: ObjectIdentity, payload: Buffer, salt: Buffer): Buffer {
  const seal = newSeal(kind, id, master, salt)
  const object = Buffer.allocUnsafe(HEADER_BYTES + sealedBytes(seal, payload.length))
  object.set(seal.header)
  sealFrame(
    seal,
    { about: NO_KEY, offset: HEADER_BYTES, position: 'last' },
    payload,
    'none',
    object.subarray(HEADER_BYTES),
  )
  return object
}

/** @throws AppError ARTIFACT_BROKEN. */
export function openObject({ kind, id, master }: ObjectIdentity, object: Buffer): Buffer {
  if (object.length < HEADER_BYTES) throw brokenObject('it is too short')
  const seal = readSeal(kind, id, master, object.subarray(0, HEADER_BYTES))
  const frame = object.subarray(HEADER_BYTES)
  const payload = Buffer.allocUnsafe(Math.max(0, frame.length - frameOverhead(seal)))
  openFrame(seal, { about: NO_KEY, offset: HEADER_BYTES, position: 'last' }, frame, payload)
  return payload
}

/** Whoever can write to the place must not be able to fill the memory with one object. */
const MOST_BYTES: Readonly<Record<string, number>> = {
  index: 4 * 1024 ** 3,
  snapshots: MOST_SNAPSHOT_BYTES,
  marks: 512 * 1024 ** 2,
}
/** Config, keys, leases. */
const MOST_OTHER_BYTES = 64 * 1024

/** All of an object that is read at once. @throws AppError BLOB_UNKNOWN; ARTIFACT_BROKEN when it is larger than any of its kind. */
export async function readWhole(location: BackupLocation, name: string, signal: AbortSignal): Promise<Buffer> {
  await using reader = await location.open(name, signal)
  const [kind = ''] = name.split('/')
  if (reader.sizeBytes > (MOST_BYTES[kind] ?? MOST_OTHER_BYTES)) {
    throw brokenObject(`${name} has ${reader.sizeBytes} bytes, more than any that was written`)
  }
  return readExactly(reader, 0, reader.sizeBytes, signal)
}

/** Ids of objects have no other length. */
export const isObjectId = (text: string): boolean => text.length === OBJECT_ID_BYTES * 2 && /^[0-9a-f]+$/.test(text)
