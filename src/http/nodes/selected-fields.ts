type Json = Readonly<Record<string, unknown>>

/** Only the fields asked for, in that order; `metadata.<key>` asks for one key of the map. Undefined: everything. */
export function selected(record: Json, select: readonly string[] | undefined): Json {
  if (select === undefined) return record
  const keys = select.filter((field) => field.startsWith('metadata.')).map((field) => field.slice('metadata.'.length))
  const chosen: Record<string, unknown> = {}
  for (const field of select) {
    if (!field.startsWith('metadata.')) chosen[field] = record[field]
    else if (!select.includes('metadata')) chosen.metadata = entriesOf(record.metadata, keys)
  }
  return chosen
}

function entriesOf(metadata: unknown, keys: readonly string[]): Json {
  const map = (metadata ?? {}) as Json
  return Object.fromEntries(keys.flatMap((key) => (Object.hasOwn(map, key) ? [[key, map[key]]] : [])))
}
