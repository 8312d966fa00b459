import { type RawBuilder, sql } from 'kysely'
import type { BucketSize } from './bucket-size.ts'

/**
 * A landmark is a row at which a bucket begins in every cluster that has the row, whatever the rest of its history: what cuts at
 * landmarks finds whole buckets on the other side, and reads no rows. The row's hash says so. Packages, whose content lanes are 0, are none.
 * Nothing but speed depends on it.
 * @param lane0 and lane1: content lanes of a live row, or of a change that made it.
 */
export const isLandmark = (
  { rowsPerLandmark }: Pick<BucketSize, 'rowsPerLandmark'>,
  lane0: string,
  lane1: string,
): RawBuilder<boolean> =>
  sql<boolean>`((${sql.ref(lane0)} & ${sql.lit(rowsPerLandmark - 1)}) = 0 and ${sql.ref(lane1)} <> 0)`
