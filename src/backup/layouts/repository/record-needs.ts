import { AppError } from '../../../core/errors.ts'
import type { Manifest } from '../../manifest/manifest.ts'
import { type Entry, type EntryKind, entryKey } from './entry.ts'
import type { EntryReader } from './entry-reader.ts'
import { brokenObject } from './object-seal.ts'
import type { Repository } from './repository.ts'

const DIGEST_BYTES = 32
/** Within a string of JSON its quotes would be escaped. */
const SHA256 = /"sha256":"([0-9a-f]{64})"/g

/** Digests that records name, each once, ascending: 32 bytes each. */
export function needsOf(lines: Buffer): Buffer {
  const found = new Set<string>()
  for (const [, digest] of lines.toString('latin1').matchAll(SHA256)) found.add(digest!)
  return Buffer.from([...found].sort().join(''), 'hex')
}

export function* digestsIn(needs: Buffer): Generator<Buffer> {
  for (let at = 0; at < needs.length; at += DIGEST_BYTES) yield needs.subarray(at, at + DIGEST_BYTES)
}

/** Ids of all record parts, each once. */
export function partsOf(manifest: Manifest): Set<string> {
  return new Set(manifest.files.flatMap(({ parts }) => (parts ?? []).map(({ id }) => id)))
}

/** @throws AppError ARTIFACT_BROKEN when no index has it. */
export function partEntry({ index }: Pick<Repository, 'index'>, kind: EntryKind, part: string): Entry {
  const entry = partEntryOf({ index }, kind, part)
  if (entry !== undefined) return entry
  throw new AppError('ARTIFACT_BROKEN', `Records of the backup are missing: no index names their part ${part}`, {
    part,
  })
}
export function partEntryOf({ index }: Pick<Repository, 'index'>, kind: EntryKind, part: string): Entry | undefined {
  const digest = Buffer.from(part, 'hex')
  if (digest.length !== DIGEST_BYTES) return undefined
  const key = entryKey(kind, digest)
  const place = index.find(key)
  return place === undefined ? undefined : { key, ...place }
}

/** What the records of parts name, part by part. @throws AppError ARTIFACT_BROKEN when that of one is missing. */
export async function* needsOfParts(
  repository: Pick<Repository, 'index'>,
  reader: EntryReader,
  parts: Iterable<string>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const entries = [...parts].map((part) => partEntry(repository, 'needs', part))
  for await (const [entry, needs] of reader.readMany(entries, signal)) {
    if (needs === undefined || needs.length % DIGEST_BYTES !== 0) {
      throw brokenObject(`${entry.object} does not tell what records need`)
    }
    yield needs
  }
}
