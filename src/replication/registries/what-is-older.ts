import { EVERY_PACKAGE, versionPath } from '../../core/package-key.ts'
import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { changedPaths } from '../../metadata/changes/change-spans.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { noteOlder, pushableVersions } from '../../metadata/replication/pushed-versions.ts'
import type { LinkWork } from '../planning/link-plan.ts'

/** Of one transaction: nobody else writes meanwhile on SQLite. */
const VERSIONS_AT_ONCE = 2_000

/**
 * A link that brings over only what comes after its beginning remembers what was there before it: should our change log be cut one day, or
 * the link's scope change, what is compared then leaves these out. May be done again.
 * @param from number of our change log; what changed after it is not older.
 */
export async function noteWhatIsOlder(
  db: MetadataDatabase,
  { spec, link, repository, from }: Pick<LinkWork, 'spec' | 'link' | 'repository'> & { readonly from: number },
  now: number,
): Promise<void> {
  if (spec.follows?.backfill !== false) return
  await numberChanges(db)
  const span = { from, to: await headSeq(db.read, repository.id), ranges: [EVERY_PACKAGE] }
  const changed = new Set(await changedPaths(db.read, repository.id, span))
  const older = (await pushableVersions(db.read, repository.id))
    .map(({ packageKey, name, digest }) => ({ path: versionPath(packageKey, name), digest }))
    .filter(({ path }) => !changed.has(path))
  for (let at = 0; at < older.length; at += VERSIONS_AT_ONCE) {
    const some = older.slice(at, at + VERSIONS_AT_ONCE)
    await db.transact((trx) => noteOlder(trx, link.id, some, now))
  }
}
