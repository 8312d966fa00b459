import { sql } from 'kysely'
import { type PackageKey, parsePackagePath, versionPath } from '../../core/package-key.ts'
import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { forgetUploadsTo } from './pushed-uploads.ts'

/** A version that could go to a registry: one that is listed, or one that is about another. */
export interface PushableVersion {
  readonly id: number
  readonly packageKey: PackageKey
  readonly name: string
  /** Of its main file, as clients of the format name it. */
  readonly digest: string
  readonly subject: string | null
  readonly listed: boolean
  readonly sizeBytes: number
}

/** All of a repository, those that are longest there first. */
export async function pushableVersions(reader: Reader, repoId: number): Promise<PushableVersion[]> {
  const rows = await pushable(reader, repoId)
    .orderBy('package_version.created_at')
    .orderBy('package_version.id')
    .execute()
  return rows.map(toPushable)
}

/** Those at these places (`versionPath`) that are there. At most 1,000. */
export async function pushableAt(reader: Reader, repoId: number, paths: readonly string[]): Promise<PushableVersion[]> {
  if (paths.length === 0) return []
  const wanted = new Set(paths)
  const names = [...new Set(paths.flatMap((path) => parsePackagePath(path)?.version ?? []))]
  const rows = await pushable(reader, repoId)
    .where(anyOf(reader, 'package_version.name', names))
    .orderBy('package_version.id')
    .execute()
  return rows.map(toPushable).filter(({ packageKey, name }) => wanted.has(versionPath(packageKey, name)))
}

/** Of these packages, those that are about another version, or may be by their name. At most 1,000 packages. */
export async function referrersIn(
  reader: Reader,
  repoId: number,
  keys: readonly PackageKey[],
): Promise<PushableVersion[]> {
  const rows = await pushable(reader, repoId)
    .where((eb) => {
      const called = (algorithm: string) => eb('package_version.name', 'like', `${algorithm}-%`)
      return eb.or([eb('package_version.subject', 'is not', null), called('sha256'), called('sha512')])
    })
    .where(anyOf(reader, 'package.key', keys))
    .orderBy('package_version.id')
    .execute()
  return rows.map(toPushable)
}

/** All of these packages. At most 1,000 packages. */
export async function pushableOf(
  reader: Reader,
  repoId: number,
  keys: readonly PackageKey[],
): Promise<PushableVersion[]> {
  const rows = await pushable(reader, repoId)
    .where(anyOf(reader, 'package.key', keys))
    .orderBy('package_version.id')
    .execute()
  return rows.map(toPushable)
}

/**
 * Digests of what versions of these packages bring along with a document of its own, by version: its main file is called by its digest.
 * At most 1,000 packages.
 */
export async function broughtDigests(
  reader: Reader,
  repoId: number,
  keys: readonly PackageKey[],
): Promise<Map<number, string[]>> {
  const rows = await reader
    .selectFrom('version_file')
    .innerJoin('package_version', 'package_version.id', 'version_file.version_id')
    .innerJoin('package', 'package.id', 'package_version.package_id')
    .select(['version_file.version_id', 'version_file.path'])
    .where('package.repo_id', '=', repoId)
    .where(anyOf(reader, 'package.key', keys))
    .where('version_file.role', '=', 'manifest')
    .execute()
  const found = new Map<number, string[]>()
  for (const { version_id: id, path } of rows) {
    const digest = path.split('/').at(-2) ?? ''
    found.set(id, [...(found.get(id) ?? []), digest])
  }
  return found
}

const pushable = (reader: Reader, repoId: number) =>
  reader
    .selectFrom('package_version')
    .innerJoin('package', 'package.id', 'package_version.package_id')
    .where('package.repo_id', '=', repoId)
    .where('package_version.digest', 'is not', null)
    .where((eb) => eb.or([eb('package_version.listed', '=', 1), eb('package_version.subject', 'is not', null)]))
    .select(['package_version.id', 'package.key as package_key', 'package_version.name', 'package_version.digest'])
    .select(['package_version.subject', 'package_version.listed', 'package_version.size'])

function toPushable(row: {
  id: number
  package_key: string
  name: string
  digest: string | null
  subject: string | null
  listed: number
  size: number
}): PushableVersion {
  const { id, package_key, name, digest, subject, listed, size } = row
  return {
    id,
    packageKey: package_key as PackageKey,
    name,
    digest: digest!,
    subject,
    listed: listed === 1,
    sizeBytes: size,
  }
}

/** What a registry has of a version, by our record. */
export interface Pushed {
  readonly digest: string
  /** When it was there last, by its word; UTC epoch ms. */
  readonly at: number
}
/** Of a link, by `pushedKey`. */
export type PushedVersions = ReadonlyMap<string, Pushed>

export const pushedVersions = (reader: Reader, linkId: number): Promise<PushedVersions> => pushed(reader, linkId)
/** Of some places. At most 1,000. */
export const pushedVersionsAt = (reader: Reader, linkId: number, paths: readonly string[]): Promise<PushedVersions> =>
  pushed(reader, linkId, paths)

async function pushed(reader: Reader, linkId: number, paths?: readonly string[]): Promise<PushedVersions> {
  const rows = await reader
    .selectFrom('pushed_version')
    .select(['path', 'target', 'digest', 'pushed_at'])
    .where('link_id', '=', linkId)
    .$if(paths !== undefined, (query) => query.where(anyOf(reader, 'path', paths!)))
    .execute()
  return new Map(rows.map(({ path, target, digest, pushed_at: at }) => [pushedKey(path, target), { digest, at }]))
}
/** @param target what it is called over there. */
export const pushedKey = (path: string, target: string): string => `${path}\u0002${target}`

export async function notePushed(
  trx: Transaction,
  linkId: number,
  there: readonly { readonly path: string; readonly target: string; readonly digest: string }[],
  at: number,
): Promise<void> {
  if (there.length === 0) return
  await trx
    .insertInto('pushed_version')
    .values(there.map(({ path, target, digest }) => ({ link_id: linkId, path, target, digest, pushed_at: at })))
    .onConflict((oc) =>
      oc
        .columns(['link_id', 'path', 'target'])
        .doUpdateSet((eb) => ({ digest: eb.ref('excluded.digest'), pushed_at: eb.ref('excluded.pushed_at') })),
    )
    .execute()
}

/**
 * In place of a name over there: the version was here with this digest before the link began, and what is older is none of its business.
 */
export const OLDER = ''

/** Notes what was there when a link began that brings over only what comes after it. */
export async function noteOlder(
  trx: Transaction,
  linkId: number,
  versions: readonly { readonly path: string; readonly digest: string }[],
  at: number,
): Promise<void> {
  for (let from = 0; from < versions.length; from += ROWS_PER_INSERT) {
    const some = versions.slice(from, from + ROWS_PER_INSERT).map((version) => ({ ...version, target: OLDER }))
    await notePushed(trx, linkId, some, at)
  }
}
const ROWS_PER_INSERT = 500

/** The version is to be looked at again. */
export async function forgetPushedAt(trx: Transaction, linkId: number, path: string): Promise<void> {
  await trx.deleteFrom('pushed_version').where('link_id', '=', linkId).where('path', '=', path).execute()
}
/** The links are gone. */
export async function forgetPushed(trx: Transaction, linkIds: readonly number[]): Promise<void> {
  if (linkIds.length === 0) return
  await trx
    .deleteFrom('pushed_version')
    .where(anyOf(trx, 'link_id', linkIds))
    .execute()
}
export async function forgetPushedOfTask(trx: Transaction, taskKey: string): Promise<void> {
  await trx
    .deleteFrom('pushed_version')
    .where('link_id', 'in', (eb) => eb.selectFrom('link').select('id').where('task_key', '=', taskKey))
    .execute()
}
/** Another registry has the name now: it has nothing of ours, and what went to the old one is older than what it is to get. */
export async function forgetRegistry(trx: Transaction, clusterId: string): Promise<void> {
  const links = sql`select id from link where cluster_id = ${clusterId}`
  await sql`insert into pushed_version (link_id, path, target, digest, pushed_at)
    select link_id, path, ${OLDER}, max(digest), max(pushed_at) from pushed_version
    where link_id in (${links}) and target <> ${OLDER} group by link_id, path
    on conflict (link_id, path, target) do update set digest = excluded.digest`.execute(trx)
  await sql`delete from pushed_version where link_id in (${links}) and target <> ${OLDER}`.execute(trx)
  await forgetUploadsTo(trx, clusterId)
}
