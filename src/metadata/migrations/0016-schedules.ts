import type { Kysely } from 'kysely'
import type { Dialect } from '../database.ts'

export async function createSchedulesSchema(_db: Kysely<unknown>, _dialect: Dialect): Promise<void> {}
