import { createHash } from 'node:crypto'
import { AppError, hasCode } from '../../../core/errors.ts'
import type { BackupLocation, ObjectReader } from '../../../storage/backup-location.ts'
import type { RunFiles, WholeFinding } from '../run-files.ts'
import { openZipEntry } from './zip-content.ts'
import { readZipEntries, type ZipEntry } from './zip-entries.ts'

const RUN = /^\d{8}\.\d{6}$/
const SIDECAR = /^([0-9a-f]{64}) [ *]([^/\r\n]+)\r?\n?$/
const MOST_SIDECAR_BYTES = 4_096
const READ_BYTES = 1024 * 1024

/** The digest of a whole zip lies beside it, as `sha256sum` writes it. Reading does not need it; verifying uses it. */
export const sidecarOf = (zip: string): string => `${zip}.sha256`

/**
 * The files of a zip, read where they lie: nothing is unpacked to a disk. Disposing closes it.
 * @throws AppError ARTIFACT_BROKEN.
 */
export async function openZipFiles(place: BackupLocation, zip: string, signal: AbortSignal): Promise<RunFiles> {
  const object = await place.open(zip, signal)
  try {
    const entries = belowRun(await readZipEntries(object, `${place.path}/${zip}`, signal))
    return zipFiles(place, zip, object, entries)
  } catch (error) {
    await object[Symbol.asyncDispose]()
    throw error
  }
}

function zipFiles(
  place: BackupLocation,
  zip: string,
  object: ObjectReader,
  entries: ReadonlyMap<string, ZipEntry>,
): RunFiles {
  return {
    layout: 'ZIP',
    path: `${place.path}/${zip}`,
    async find(name) {
      const entry = entries.get(name)
      return entry && { name, sizeBytes: entry.sizeBytes }
    },
    async open({ name }, signal) {
      const entry = entries.get(name)
      if (entry !== undefined) return openZipEntry(object, entry, signal)
      throw new AppError('BLOB_UNKNOWN', `${name} is not in the zip`, {})
    },
    async *list() {
      for (const [name, { sizeBytes }] of entries) yield { name, sizeBytes }
    },
    async check(reads, onBytes, signal) {
      const expected = await sidecarDigest(place, zip, signal)
      if (expected === undefined) return []
      const wrong = (reason: string): WholeFinding[] => [{ kind: 'wrong', object: `${place.path}/${zip}`, reason }]
      if (expected === 'unreadable') return wrong(`${sidecarOf(zip)} beside it holds no digest of it`)
      if (reads === 'some' || expected === (await digestOf(object, onBytes, signal))) return []
      return wrong(`its bytes are not those of ${sidecarOf(zip)}`)
    },
    [Symbol.asyncDispose]: () => object[Symbol.asyncDispose](),
  }
}

/** Without the folder of the run, which all entries lie in; above it some tools leave another one. */
function belowRun(entries: ReadonlyMap<string, ZipEntry>): Map<string, ZipEntry> {
  const first = onlyFolder([...entries.keys()])
  if (first === undefined) return new Map(entries)
  const inside = new Map([...entries].map(([name, entry]) => [name.slice(first.length + 1), entry]))
  const second = RUN.test(first) ? undefined : onlyFolder([...inside.keys()])
  return second !== undefined && RUN.test(second) ? belowRun(inside) : inside
}

function onlyFolder(names: readonly string[]): string | undefined {
  const first = names[0]?.split('/')[0]
  return first !== undefined && names.every((name) => name.startsWith(`${first}/`)) ? first : undefined
}

async function sidecarDigest(
  place: BackupLocation,
  zip: string,
  signal: AbortSignal,
): Promise<string | 'unreadable' | undefined> {
  try {
    await using sidecar = await place.open(sidecarOf(zip), signal)
    const bytes = Buffer.alloc(Math.min(sidecar.sizeBytes, MOST_SIDECAR_BYTES))
    await sidecar.read(bytes, 0, signal)
    return SIDECAR.exec(bytes.toString('latin1'))?.[1] ?? 'unreadable'
  } catch (error) {
    if (hasCode(error, 'BLOB_UNKNOWN')) return undefined
    throw error
  }
}

async function digestOf(object: ObjectReader, onBytes: (count: number) => void, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  for (let at = 0; ; ) {
    const count = await object.read(buffer, at, signal)
    if (count === 0) return hash.digest('hex')
    hash.update(buffer.subarray(0, count))
    onBytes(count)
    at += count
  }
}
