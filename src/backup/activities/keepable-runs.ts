import { hasCode } from '../../core/errors.ts'
import type { Layouts, StoredRun } from '../layouts/layouts.ts'
import type { KeepableRun } from './retention.ts'

/** What the manifests of runs say of keeping them; one that is damaged or stays closed is `unknown`. */
export async function keepableRuns(
  layouts: Pick<Layouts, 'openReader'>,
  runs: readonly StoredRun[],
  signal: AbortSignal,
): Promise<KeepableRun[]> {
  const found: KeepableRun[] = []
  for (const run of runs) found.push({ ...run, ...(await stateOf(layouts, run, signal)) })
  return found
}

async function stateOf(
  layouts: Pick<Layouts, 'openReader'>,
  { path }: StoredRun,
  signal: AbortSignal,
): Promise<Pick<KeepableRun, 'state' | 'extent'>> {
  try {
    await using reader = await layouts.openReader(path, 'whole', signal)
    const { manifest } = reader
    if (manifest === undefined) return { state: 'unknown', extent: 'full' }
    return {
      state: manifest.result === 'SUCCESS' ? 'good' : 'partial',
      extent: manifest.since === null && manifest.fromSeq === null ? 'full' : 'increment',
    }
  } catch (error) {
    if (hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN', 'PERMISSION_DENIED')) {
      return { state: 'unknown', extent: 'full' }
    }
    throw error
  }
}
