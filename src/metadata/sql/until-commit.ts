import type { MetadataDatabase } from '../database.ts'

const MAX_ENTRIES = 2_000

/**
 * Remembers what `load` answered until the next commit, for small facts that every request reads. Only where all commits pass
 * through this process (SQLite); elsewhere it asks each time. What was loaded while a commit went through is not remembered.
 */
export function untilCommit<V>(
  db: Pick<MetadataDatabase, 'commits'>,
  load: (...key: string[]) => Promise<V>,
  /** Small enough to be kept, two thousand of them. */
  isSmall: (value: V) => boolean = () => true,
): (...key: string[]) => Promise<V> {
  const known = new Map<string, V>()
  let knownAt: number | undefined
  return async (...key) => {
    const now = db.commits()
    if (now === undefined) return load(...key)
    if (now !== knownAt || known.size >= MAX_ENTRIES) known.clear()
    knownAt = now
    const name = key.join('\u0000')
    const remembered = known.get(name)
    if (remembered !== undefined) return remembered
    const loaded = await load(...key)
    if (db.commits() === now && loaded !== undefined && isSmall(loaded)) known.set(name, loaded)
    return loaded
  }
}
