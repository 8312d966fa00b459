import type { Kysely } from 'kysely'
import type { Dialect } from '../database.ts'
import { createInitialSchema } from './0001-initial.ts'

/** One step of the schema, in one transaction with the others that are due. Never changed once released. */
export interface Migration {
  readonly name: string
  apply(db: Kysely<unknown>, dialect: Dialect): Promise<void>
}

/** In order; a new one goes to the end. */
export const MIGRATIONS: readonly Migration[] = [{ name: '0001-initial', apply: createInitialSchema }]
