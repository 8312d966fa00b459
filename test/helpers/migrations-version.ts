import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { MIGRATIONS } from '../../src/metadata/migrations/all.ts'

/** 16 hex digits that change with every step of the schema: names a database that has them all. */
export async function migrationsVersion(): Promise<string> {
  const hash = createHash('sha256')
  for (const { name } of MIGRATIONS) {
    hash.update(await readFile(new URL(`../../src/metadata/migrations/${name}.ts`, import.meta.url)))
  }
  return hash.digest('hex').slice(0, 16)
}
