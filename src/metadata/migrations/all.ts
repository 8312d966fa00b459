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
import { createFingerprintsSchema } from './0011-fingerprints.ts'
import { createSegmentsSchema } from './0012-segments.ts'
import { createEngineSchema } from './0013-engine.ts'
import { createChangeNumberSchema } from './0014-change-number.ts'
import { createSearchIndexesSchema } from './0015-search-indexes.ts'
import { createSchedulesSchema } from './0016-schedules.ts'
import { createLiveLinksSchema } from './0017-live-links.ts'
import { createDeletionsSchema } from './0018-deletions.ts'
import { createPackageRunsSchema } from './0019-package-runs.ts'
import { createPlansSchema } from './0020-plans.ts'
import { createFailuresSchema } from './0021-failures.ts'
import { createV1TasksSchema } from './0022-v1-tasks.ts'
import { createEdgesSchema } from './0023-edges.ts'
import { createUnsettledSchema } from './0024-unsettled.ts'
import { createPreviewProgressSchema } from './0025-preview-progress.ts'
import { createImagesSchema } from './0026-images.ts'
import { createDistributionsSchema } from './0027-distributions.ts'
import { createImportsSchema } from './0028-imports.ts'
import { createBackupsSchema } from './0029-backups.ts'
import { createPlannedBytesSchema } from './0030-planned-bytes.ts'

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
  { name: '0011-fingerprints', apply: createFingerprintsSchema },
  { name: '0012-segments', apply: createSegmentsSchema },
  { name: '0013-engine', apply: createEngineSchema },
  { name: '0014-change-number', apply: createChangeNumberSchema },
  { name: '0015-search-indexes', apply: createSearchIndexesSchema },
  { name: '0016-schedules', apply: createSchedulesSchema },
  { name: '0017-live-links', apply: createLiveLinksSchema },
  { name: '0018-deletions', apply: createDeletionsSchema },
  { name: '0019-package-runs', apply: createPackageRunsSchema },
  { name: '0020-plans', apply: createPlansSchema },
  { name: '0021-failures', apply: createFailuresSchema },
  { name: '0022-v1-tasks', apply: createV1TasksSchema },
  { name: '0023-edges', apply: createEdgesSchema },
  { name: '0024-unsettled', apply: createUnsettledSchema },
  { name: '0025-preview-progress', apply: createPreviewProgressSchema },
  { name: '0026-images', apply: createImagesSchema },
  { name: '0027-distributions', apply: createDistributionsSchema },
  { name: '0028-imports', apply: createImportsSchema },
  { name: '0029-backups', apply: createBackupsSchema },
  { name: '0030-planned-bytes', apply: createPlannedBytesSchema },
]
