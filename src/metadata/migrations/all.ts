import type { Kysely } from 'kysely'
import type { Dialect } from '../database.ts'
import { createInitialSchema } from './0001-initial.ts'
import { createAccessSchema } from './0002-access.ts'
import { createIdentitySchema } from './0003-identity.ts'
import { createUsageSchema } from './0004-usage.ts'
import { createProxiesSchema } from './0005-proxies.ts'
import { createTreeOperationsSchema } from './0006-tree-operations.ts'
import { createSearchSchema } from './0007-search.ts'
import { createPackagesSchema } from './0008-packages.ts'
import { createBlockUploadsSchema } from './0009-block-uploads.ts'
import { createScrubSchema } from './0010-scrub.ts'

/** One step of the schema, in one transaction with the others that are due. Never changed once released. */
export interface Migration {
  readonly name: string
  apply(db: Kysely<unknown>, dialect: Dialect): Promise<void>
}

/** In order; a new one goes to the end. */
export const MIGRATIONS: readonly Migration[] = [
  { name: '0001-initial', apply: createInitialSchema },
  { name: '0002-access', apply: createAccessSchema },
  { name: '0003-identity', apply: createIdentitySchema },
  { name: '0004-usage', apply: createUsageSchema },
  { name: '0005-proxies', apply: createProxiesSchema },
  { name: '0006-tree-operations', apply: createTreeOperationsSchema },
  { name: '0007-search', apply: createSearchSchema },
  { name: '0008-packages', apply: createPackagesSchema },
  { name: '0009-block-uploads', apply: createBlockUploadsSchema },
  { name: '0010-scrub', apply: createScrubSchema },
]
