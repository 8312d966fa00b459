import { AppError } from './errors.ts'

/** One metadata entry of a node (core.md 8). `value` is any JSON. */
export interface MetadataEntry {
  readonly key: string
  readonly value: unknown
  /** Set by the system, not by users; takes no part in comparison between clusters. */
  readonly system?: boolean
  readonly description?: string
  readonly link?: string
  readonly color?: string
}
export type Metadata = readonly MetadataEntry[]

const MAX_KEY_LENGTH = 128
const MAX_ENTRIES = 256
const MAX_BYTES = 65_536

/** @throws AppError METADATA_INVALID for a key over 128 characters or empty, over 256 entries, over 64 KiB in all, for what no database keeps. */
export function checkMetadata(metadata: Metadata): Metadata {
  if (metadata.length > MAX_ENTRIES) throw refuse(`more than ${MAX_ENTRIES} entries`)
  for (const entry of metadata) {
    const { key } = entry
    const shown = key.toWellFormed().replaceAll('\0', '\ufffd')
    if (holds(entry, (text) => text.includes('\0'))) throw refuse(`[${shown}] holds a NUL character`)
    if (holds(entry, (text) => !text.isWellFormed())) throw refuse(`[${shown}] holds half a surrogate pair`)
    if (key === '' || key.length > MAX_KEY_LENGTH) throw refuse(`a key must have 1 to ${MAX_KEY_LENGTH} characters`)
  }
  if (Buffer.byteLength(JSON.stringify(metadata)) > MAX_BYTES) throw refuse(`more than ${MAX_BYTES} bytes`)
  return metadata
}
/** NUL and half a surrogate pair: no database keeps them as they are. */
function holds(value: unknown, isBad: (text: string) => boolean): boolean {
  if (typeof value === 'string') return isBad(value)
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, inner]) => isBad(key) || holds(inner, isBad))
}
const refuse = (why: string) => new AppError('METADATA_INVALID', `Metadata is invalid: ${why}`, {})

/** The legacy map view. */
export function metadataMap(metadata: Metadata): Record<string, unknown> {
  return Object.fromEntries(metadata.map(({ key, value }) => [key, value]))
}
export function metadataFromMap(map: Readonly<Record<string, unknown>>): MetadataEntry[] {
  return Object.entries(map).map(([key, value]) => ({ key, value }))
}
/** Entries of `changes` replace those of the same key; the order of first appearance is kept. */
export function mergeMetadata(base: Metadata, changes: Metadata): MetadataEntry[] {
  const merged = new Map(base.map((entry) => [entry.key, entry]))
  for (const entry of changes) merged.set(entry.key, entry)
  return [...merged.values()]
}
/**
 * One text for equal user metadata, whatever the order of keys: what fingerprints and comparison between clusters hash.
 * System entries are left out; `[]` when there is none.
 */
export function canonicalMetadata(metadata: Metadata): string {
  const user = metadata.filter((entry) => entry.system !== true)
  user.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return JSON.stringify(user.map(({ key, value, system: _, ...shown }) => [key, sorted(value), sorted(shown)]))
}
/** One text for equal values, whatever the order of their keys. */
export const canonicalJson = (value: unknown): string => JSON.stringify(sorted(value))

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  )
}
