import { type Entry, entryKey } from './entry.ts'
import type { EntryReader } from './entry-reader.ts'
import type { Marks } from './marks.ts'
import { digestsIn, needsOfParts, partsOf } from './record-needs.ts'
import type { Repository } from './repository.ts'

/** Keys of all that snapshots need. @throws AppError ARTIFACT_BROKEN when one of them cannot be read: nobody knows then what it needs. */
export async function neededKeys(
  repository: Repository,
  reader: EntryReader,
  snapshots: readonly string[],
  signal: AbortSignal,
): Promise<Set<string>> {
  const parts = new Set<string>()
  for (const name of snapshots)
    for (const part of partsOf((await repository.snapshot(name, signal)).manifest)) parts.add(part)
  const keys = new Set<string>()
  for (const part of parts) {
    for (const kind of ['records', 'needs'] as const) keys.add(nameOf(entryKey(kind, Buffer.from(part, 'hex'))))
  }
  for await (const needs of needsOfParts(repository, reader, parts, signal)) {
    for (const digest of digestsIn(needs)) keys.add(nameOf(entryKey('content', digest)))
  }
  return keys
}

const nameOf = (key: Buffer): string => key.toString('latin1')

/** Of each needed entry one place, by object: of several the one whose object is not marked. */
export function liveEntries(
  entries: readonly Entry[],
  needed: ReadonlySet<string>,
  marks: Marks,
): Map<string, Entry[]> {
  const chosen = new Map<string, Entry>()
  for (const entry of entries) {
    const name = nameOf(entry.key)
    const other = chosen.get(name)
    const isBetter = other === undefined || (marks.has(other.object) && !marks.has(entry.object))
    if (isBetter && needed.has(name)) chosen.set(name, entry)
  }
  return Map.groupBy(chosen.values(), ({ object }) => object)
}
