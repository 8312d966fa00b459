import type { PackageRules } from '../../artifacts/packages/package-rules.ts'
import { versionPath } from '../../core/package-key.ts'
import { versionsNamed } from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedRepository } from '../records/decoded.ts'
import { inBatches } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import type { RepositoryToRestore } from './restore-plan.ts'
import { VERSION_BATCHES, versionsOf } from './restore-versions.ts'

/** Judges versions by themselves, and says which would be kept; whether their files are whole the nodes told. */
export async function rehearseVersions(
  context: RestoreContext,
  place: RepositoryToRestore,
  { repository, record }: { readonly repository: Repository | undefined; readonly record: DecodedRepository },
  rules: PackageRules,
  signal: AbortSignal,
): Promise<void> {
  const { deps, run } = context
  for await (const batch of inBatches(
    versionsOf(context, place, record, rules, () => {}, signal),
    VERSION_BATCHES,
  )) {
    const there = repository === undefined ? [] : await versionsNamed(deps.db.read, repository.id, batch)
    const known = new Set(there.map(({ packageKey, name }) => versionPath(packageKey, name)))
    const kept =
      run.onConflict === 'OVERWRITE' ? [] : batch.filter(({ key, name }) => known.has(versionPath(key, name)))
    run.progress.add({ versions: batch.length, success: batch.length - kept.length, skipped: kept.length })
  }
}
