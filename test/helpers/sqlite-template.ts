import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { after } from 'node:test'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { openDatabase } from '../../src/metadata/open-database.ts'
import { migrationsVersion } from './migrations-version.ts'
import { type TempDir, tempDir } from './temp.ts'

/** A SQLite file that tests begin with: copying it takes a millisecond, migrating fifty. */
export interface SqliteTemplate {
  /** Puts a copy where no file is yet. */
  copyTo(file: string): Promise<void>
}

/**
 * Made when it is first asked for. The test files of one run share it, where the test runner gives them a folder for that.
 * @param prepare writes what it holds besides the schema.
 */
export function sqliteTemplate(
  name: string,
  prepare: (db: MetadataDatabase) => Promise<void> = async () => {},
): SqliteTemplate {
  let made: Promise<string> | undefined
  async function make(): Promise<string> {
    const folder = process.env.ENTREPOT_TEST_TEMPLATES ?? (await ownFolder())
    const file = join(folder, `${name}-${await migrationsVersion()}.db`)
    if (existsSync(file)) return file
    const draft = `${file}.${randomBytes(8).toString('hex')}`
    const db = await openDatabase({ dialect: 'sqlite', file: draft })
    await db.migrate()
    await prepare(db)
    // The last connection brings everything into the one file.
    await db.close()
    await rename(draft, file)
    return file
  }
  return {
    async copyTo(file) {
      made ??= make()
      await copyFile(await made, file)
    },
  }
}

let own: Promise<TempDir> | undefined
async function ownFolder(): Promise<string> {
  own ??= tempDir()
  return (await own).path
}
after(async () => (await own)?.[Symbol.asyncDispose]())
