import { packageKeysFor } from '../core/package-key.ts'
import type { RepositoryType } from '../core/repository-type.ts'
import type { Reader } from '../metadata/database.ts'
import { liveAt } from '../metadata/nodes/nodes.ts'
import { versionSizes } from '../metadata/packages/version-sizes.ts'
import { listFileSizes } from '../metadata/replication/source-files.ts'
import { findRepository } from '../metadata/repositories/repositories.ts'
import { usedBytes } from '../metadata/repositories/usage.ts'
import { createPackageFilter } from './constraints/package-filter.ts'
import { mayBePattern, selectPaths } from './constraints/path-selection.ts'
import {
  type PackageConstraint,
  type PathConstraint,
  packagesOf,
  pathsOf,
  type TaskObject,
  type TaskPlan,
} from './task.ts'

/**
 * Bytes that a task which runs once is about (replication.md 4.4): sizes of the versions, files and folders that it names, or of the
 * repository. What the target has already is not left out. Null for other types, and where nobody knows before the run.
 * @param now UTC epoch ms.
 */
export async function plannedBytesOf(reader: Reader, plan: TaskPlan, now: number): Promise<number | null> {
  if (plan.replicaType !== 'RUN_ONCE' || plan.dynamic !== undefined) return null
  let bytes = 0
  for (const object of plan.objects) bytes += await bytesOf(reader, object.localProject ?? plan.project, object, now)
  return bytes
}

async function bytesOf(reader: Reader, project: string, object: TaskObject, now: number): Promise<number> {
  const repository = await findRepository(reader, project, object.localRepo)
  if (repository === undefined) return 0
  const { id, type } = repository
  const [packages, paths] = [packagesOf(object), pathsOf(object)]
  if (packages === undefined && paths === undefined) return usedBytes(reader, id)
  const versions = packages === undefined ? 0 : await bytesOfVersions(reader, id, type as RepositoryType, packages)
  return versions + (paths === undefined ? 0 : await bytesOfFiles(reader, id, paths, now))
}

async function bytesOfVersions(
  reader: Reader,
  repoId: number,
  type: RepositoryType,
  constraints: readonly PackageConstraint[],
): Promise<number> {
  const keysOf = (key: string): readonly string[] => packageKeysFor(key, type)
  const named = constraints.map(({ packageKey }) => packageKey)
  const keys = named.includes(null) ? undefined : [...new Set(named.flatMap((key) => keysOf(key!)))]
  const filter = createPackageFilter(constraints, (key) => keysOf(key).toSorted()[0]!)
  const found = await versionSizes(reader, repoId, keys)
  return sumOf(found.filter(({ packageKey, version }) => filter.holds(packageKey, version)))
}

async function bytesOfFiles(
  reader: Reader,
  repoId: number,
  constraints: readonly PathConstraint[],
  now: number,
): Promise<number> {
  const unclear = constraints.flatMap(({ path }) => (path !== null && mayBePattern(path) ? [path] : []))
  const stored = await liveAt(reader, repoId, [...new Set(unclear)])
  const { ranges, holds } = selectPaths(constraints, (path) => stored.has(path))
  let [bytes, after] = [0, undefined as string | undefined]
  while (true) {
    const page = await listFileSizes(reader, repoId, { ranges, after, limit: FILES_AT_ONCE }, now)
    bytes += sumOf(page.filter(({ path }) => holds?.(path) ?? true).map(({ size }) => ({ sizeBytes: size })))
    if (page.length < FILES_AT_ONCE) return bytes
    after = page.at(-1)!.path
  }
}

const FILES_AT_ONCE = 10_000

const sumOf = (sizes: readonly { readonly sizeBytes: number }[]): number =>
  sizes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
