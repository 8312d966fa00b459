import { isDeepStrictEqual } from 'node:util'
import { hasCode } from '../../core/errors.ts'
import type { Layouts, StoredRun } from '../layouts/layouts.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ActivityRun } from './activity.ts'

/**
 * The run that an increment goes on from: the newest good one of this name and server in this place that took the same repositories. When
 * none is good, the newest full one; undefined: there is none either. One that cannot be read counts as none, so that more is taken.
 */
export async function followedRun(
  layouts: Pick<Layouts, 'list' | 'openReader'>,
  { task, place }: Pick<ActivityRun, 'task' | 'place'>,
  clusterId: string,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  let full: Manifest | undefined
  for (const run of await layouts.list(place, task.name, signal)) {
    // A repository is no part of the chain that increments are restored from.
    const manifest = run.layout === 'REPOSITORY' ? undefined : await manifestOf(layouts, run, signal)
    if (manifest === undefined || manifest.clusterId !== clusterId) continue
    if (!isDeepStrictEqual(manifest.content.projects, task.content.projects)) continue
    if (manifest.result === 'SUCCESS') return manifest
    if (manifest.since === null) full ??= manifest
  }
  return full
}

async function manifestOf(
  layouts: Pick<Layouts, 'openReader'>,
  { path }: StoredRun,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  try {
    await using reader = await layouts.openReader(path, 'whole', signal)
    return reader.manifest
  } catch (error) {
    if (hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN', 'PERMISSION_DENIED')) return undefined
    throw error
  }
}
