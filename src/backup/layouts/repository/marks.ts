import type { Random } from '../../../core/ids.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { brokenObject, OBJECT_ID_BYTES } from './object-seal.ts'
import { type ObjectIdentity, openObject, readWhole, sealObject } from './sealed-object.ts'

const NAME = 'marks'
const identity = (master: Buffer | undefined): ObjectIdentity => ({
  kind: 'marks',
  id: Buffer.alloc(OBJECT_ID_BYTES),
  master,
})

/** Data objects that nobody needed, by id, and since when: UTC epoch milliseconds. */
export type Marks = ReadonlyMap<string, number>

/** @throws AppError ARTIFACT_BROKEN. */
export async function readMarks(
  location: BackupLocation,
  master: Buffer | undefined,
  signal: AbortSignal,
): Promise<Marks> {
  if ((await location.find(NAME, signal)) === undefined) return new Map()
  const bytes = openObject(identity(master), await readWhole(location, NAME, signal))
  try {
    return new Map(Object.entries(JSON.parse(bytes.toString()) as Record<string, number>))
  } catch {
    throw brokenObject('it tells of no marks')
  }
}

export async function writeMarks(
  location: BackupLocation,
  master: Buffer | undefined,
  marks: Marks,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  const payload = Buffer.from(JSON.stringify(Object.fromEntries(marks)))
  await location.put(NAME, sealObject(identity(master), payload, random.bytes(32)), signal)
}
