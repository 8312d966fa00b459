import type { Divergence } from '../../metadata/replication/divergences.ts'
import type { UnsettledPaths } from './unsettled-paths.ts'

/** What the link left behind, and what the paths of its scope are to it. */
export interface Known {
  readonly ledger: readonly Divergence[]
  readonly unsettled: UnsettledPaths
  readonly isNewScope: boolean
}
