import type { Fingerprints as AllFingerprints } from '../../metadata/fingerprints/fingerprints.ts'
import type { Fingerprints } from './fingerprints.ts'

/** Those of one repository. */
export const repositoryFingerprints = (all: AllFingerprints, repoId: number): Fingerprints => ({
  sums: (ranges) => all.sums(repoId, ranges),
  cuts: (range, pieces) => all.cuts(repoId, range, pieces),
  rows: (range, limit) => all.rows(repoId, range, limit),
})
