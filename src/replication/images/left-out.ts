import { addSums, negated, type RangeSum, sumOfRow } from '../../core/fingerprint.ts'
import { type PackageKey, packagePath } from '../../core/package-key.ts'
import { holderOf } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../../metadata/database.ts'
import { holdsNodes } from '../../metadata/fingerprints/live-rows.ts'
import { filesOfVersions } from '../../metadata/packages/version-files.ts'
import { packageRowsAt, sourceFilesOf } from '../../metadata/replication/source-versions.ts'
import { type ArtifactScope, chosenOwnersOutside, chosenVersionsIn } from '../planning/package-artifacts.ts'
import { type Fingerprints, rowsAt } from '../recon/fingerprints.ts'
import { type Share, shareOfSource } from './platform-shares.ts'

/** By path: the target's row minus ours where both are as they are meant to be. Ascending. */
export type LeftOut = ReadonlyMap<string, RangeSum>
const NOTHING: LeftOut = new Map()

const VERSIONS_AT_ONCE = 500

/**
 * What a target lacks of the scope because the task is about some platforms only. It follows from what is here, so nobody has to keep it:
 * a comparison counts it as a ledger.
 */
export async function leftOutOf(reader: Reader, local: Fingerprints, scope: ArtifactScope): Promise<LeftOut> {
  const shares = scope.packages?.shares
  if (shares === undefined) return NOTHING
  const { repository, ranges, filter } = scope
  const holds = holderOf(ranges)
  const nodes = ranges.filter((range) => holdsNodes(range))
  const found = new Map<string, RangeSum>()
  const files = { gone: new Set<string>(), kept: new Set<string>() }
  const packages = { gone: new Set<PackageKey>(), kept: new Set<PackageKey>() }

  async function look(paths: readonly string[]): Promise<void> {
    const shareOf = await shares!.of(reader, repository.id, paths)
    const { versions } = await packageRowsAt(reader, repository.id, paths)
    const partial = versions.filter(({ path }) => isPartial(shareOf.get(path)))
    const sources = await sourceFilesOf(
      reader,
      repository.id,
      partial.map(({ version }) => version.id),
    )
    for (const row of versions) {
      const share = shareOf.get(row.path) ?? 'whole'
      const own = rowOf(row.version)
      packages[share === 'none' ? 'gone' : 'kept'].add(row.version.packageKey)
      if (share === 'whole' || !holds(row.path)) continue
      if (share === 'none') found.set(row.path, negated(sumOfRow(own)))
      else {
        const sent = shareOfSource({ ...row, files: sources.get(row.version.id) ?? [] }, share)
        found.set(row.path, addSums(sumOfRow(rowOf(sent.version)), negated(sumOfRow(own))))
      }
    }
    if (nodes.length === 0) return
    const placeOf = new Map(versions.map(({ path, version }) => [version.id, path]))
    for (const { versionId, path } of await filesOfVersions(reader, [...placeOf.keys()])) {
      const share = shareOf.get(placeOf.get(versionId)!) ?? 'whole'
      const isGone = share === 'none' || (share !== 'whole' && share.without.has(path))
      files[isGone ? 'gone' : 'kept'].add(path)
    }
  }
  async function lookInSlices(paths: readonly string[]): Promise<void> {
    for (let at = 0; at < paths.length; at += VERSIONS_AT_ONCE) await look(paths.slice(at, at + VERSIONS_AT_ONCE))
  }
  for await (const page of chosenVersionsIn(reader, scope, ranges)) await lookInSlices(page)
  if (nodes.length > 0) await lookInSlices(await chosenOwnersOutside(reader, scope, nodes))

  const bare = [...packages.gone].filter((key) => !packages.kept.has(key))
  const rest = [
    ...bare.map(packagePath),
    ...[...files.gone].filter((path) => !files.kept.has(path) && (filter?.(path) ?? true)),
  ].filter(holds)
  for (let at = 0; at < rest.length; at += VERSIONS_AT_ONCE) {
    for (const row of await rowsAt(local, rest.slice(at, at + VERSIONS_AT_ONCE))) {
      if (row !== undefined) found.set(row.path, negated(sumOfRow(row)))
    }
  }
  return new Map([...found].sort(([a], [b]) => comparePaths(a, b)))
}

const isPartial = (share: Share | undefined): boolean => share !== undefined && share !== 'whole' && share !== 'none'
const rowOf = ({ contentLanes: content, metadataLanes: metadata }: Parameters<typeof shareOfSource>[0]['version']) => ({
  content,
  metadata,
})

/** Both together, as one ledger. */
export function withLeftOut(
  entries: readonly { readonly path: string; readonly delta: RangeSum }[],
  leftOut: LeftOut,
): { readonly path: string; readonly delta: RangeSum }[] {
  const sums = new Map(leftOut)
  for (const { path, delta } of entries) {
    const known = sums.get(path)
    sums.set(path, known === undefined ? delta : addSums(known, delta))
  }
  return [...sums].map(([path, delta]) => ({ path, delta })).sort((a, b) => comparePaths(a.path, b.path))
}
