import { hasCode } from '../../core/errors.ts'
import type { Layouts, StoredRun } from '../layouts/layouts.ts'
import type { KeepableRun } from './retention.ts'

/** What the manifests of runs say of keeping them; one that is damaged or stays closed is `unknown`. */
export async function keepableRuns(
  layouts: Pick<Layouts, 'openReader'>,
  runs: readonly StoredRun[],
  takes: 'whole' | 'legacy',
  signal: AbortSignal,
): Promise<KeepableRun[]> {
  const found: KeepableRun[] = []
  for (const run of runs) found.push({ ...run, ...(await stateOf(layouts, run, takes, signal)) })
  return found
}

async function stateOf(
  layouts: Pick<Layouts, 'openReader'>,
  { path, startedAt }: StoredRun,
  takes: 'whole' | 'legacy',
  signal: AbortSignal,
): Promise<Pick<KeepableRun, 'state' | 'extent' | 'runId' | 'startedAt'>> {
  try {
    await using reader = await layouts.openReader(path, takes, signal)
    const { manifest } = reader
    if (manifest === undefined) return { ...UNKNOWN, startedAt }
    const startDate = Date.parse(manifest.startDate)
    return {
      state: manifest.result === 'SUCCESS' ? 'good' : 'partial',
      extent: manifest.since === null && manifest.fromSeq === null ? 'full' : 'increment',
      runId: manifest.runId,
      // Its name does not tell the two hours that summer time makes of one.
      startedAt: Number.isNaN(startDate) ? startedAt : startDate,
    }
  } catch (error) {
    if (hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN', 'PERMISSION_DENIED')) {
      return { ...UNKNOWN, startedAt }
    }
    throw error
  }
}

const UNKNOWN = { state: 'unknown', extent: 'full', runId: undefined } as const
