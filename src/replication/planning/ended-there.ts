import { longReads } from '../../metadata/long-reads.ts'
import { endedPaths } from '../../metadata/nodes/tombstones.ts'
import { comparedLanes } from '../delivery/work-item.ts'
import { reconcile } from '../recon/reconcile.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { DifferenceDeps, LinkScope } from './difference.ts'

/** Of one comparison: a message holds so many, and the answers to it. */
const PATHS_AT_ONCE = 4_096

/**
 * What ended here and is still at the target, found by asking for each path that ever ended here: for where so much differs that it is not
 * named. Undefined: more than `atMost` ended here.
 */
export async function endedThere(
  { db, fingerprints, ask }: Pick<DifferenceDeps, 'db' | 'fingerprints' | 'ask'>,
  { repository, ranges }: Pick<LinkScope, 'repository' | 'ranges'>,
  { includeMetadata }: Pick<RunSpec, 'includeMetadata'>,
  atMost: number,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  let ended: string[] = []
  for (const range of ranges) {
    // More than a call takes as arguments.
    ended = ended.concat(await endedPaths(longReads(db), repository.id, range, atMost + 1 - ended.length))
    if (ended.length > atMost) return undefined
  }
  const there: string[] = []
  for (let at = 0; at < ended.length; at += PATHS_AT_ONCE) {
    const scope = ended.slice(at, at + PATHS_AT_ONCE).map((path) => ({ lo: path, hi: `${path}${AFTER_ALONE}` }))
    const order = { local: fingerprints, ask, scope, compared: comparedLanes(includeMetadata), ledger: [] }
    const { foreign } = await reconcile(order, signal)
    there.push(...foreign.map(({ path }) => path))
  }
  return there
}

/** Behind a path: the next one that may exist, so that a range holds that path alone. */
const AFTER_ALONE = '\u0001'
