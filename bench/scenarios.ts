import { canRun } from './postgres.ts'
import type { Scenario } from './scenario.ts'
import { backupBesideRestic } from './scenarios/backup.ts'
import { oneChanged, unchanged } from './scenarios/changes.ts'
import { DIFFERENCE_SCENARIOS } from './scenarios/differences.ts'
import { detailExport } from './scenarios/export.ts'
import { IMAGE_COPY_SCENARIOS } from './scenarios/image-copies.ts'
import { IMAGE_SCENARIOS } from './scenarios/images.ts'
import { memory } from './scenarios/memory.ts'
import { unchangedMillion } from './scenarios/million.ts'
import { PEER_SCENARIOS } from './scenarios/peers.ts'
import { readSmall } from './scenarios/reads.ts'
import { readsDuringRun } from './scenarios/reads-during-run.ts'
import { REAL_TIME_SCENARIOS } from './scenarios/real-time.ts'
import { REPLICATION_SCENARIOS } from './scenarios/replication.ts'
import { SHARING_SCENARIOS } from './scenarios/sharing.ts'
import { upkeepPostgres } from './scenarios/upkeep.ts'
import { upkeepSqlite } from './scenarios/upkeep-sqlite.ts'
import { downloadLarge, uploadLarge, uploadSmall } from './scenarios/uploads.ts'
import { TREE_SCENARIOS } from './trees.ts'

/** In an order in which each finds what the one before it left. */
export const SCENARIOS: readonly Scenario[] = [
  ...[uploadLarge, downloadLarge, uploadSmall, readSmall],
  ...REPLICATION_SCENARIOS,
  ...PEER_SCENARIOS,
  ...[unchanged, oneChanged, unchangedMillion, readsDuringRun, memory],
  ...REAL_TIME_SCENARIOS,
  ...SHARING_SCENARIOS,
  detailExport,
  ...DIFFERENCE_SCENARIOS,
  ...IMAGE_SCENARIOS,
  ...IMAGE_COPY_SCENARIOS,
  backupBesideRestic,
  upkeepSqlite,
  ...(canRun('postgres') ? [upkeepPostgres] : []),
  ...TREE_SCENARIOS,
]
