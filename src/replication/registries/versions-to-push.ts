import { hash } from 'node:crypto'
import { packageKeysFor, versionPath } from '../../core/package-key.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { Reader } from '../../metadata/database.ts'
import {
  broughtDigests,
  OLDER,
  type PushableVersion,
  type PushedVersions,
  pushableAt,
  pushableOf,
  pushableVersions,
  pushedKey,
  referrersIn,
} from '../../metadata/replication/pushed-versions.ts'
import type { PackageConstraint } from '../../tasks/task.ts'
import type { PartialShare, PlatformShares } from '../images/platform-shares.ts'
import { type PackageScope, selectPackages } from '../planning/package-scope.ts'
import type { RunObject } from '../runs/run-spec.ts'

/** A version that a registry is to have, under one or several names. */
export interface VersionToPush extends PushableVersion {
  /** Where it stands among the paths of the change log. */
  readonly path: string
  /** Tags over there; of a version without a name of its own none: its digest is its name. */
  readonly tags: readonly string[]
  /** Of an index: what the task's platforms leave out. */
  readonly share?: PartialShare | undefined
}

/** What an object of a task selects for a registry. */
export interface PushScope {
  /** All that is selected, and what is about it. Those whose subject comes along come after it. */
  all(reader: Reader, repoId: number): Promise<VersionToPush[]>
  /** Of these places. What is about a version is selected when that one is. */
  at(reader: Reader, repoId: number, paths: readonly string[]): Promise<VersionToPush[]>
  /** Packages and versions that the task names. */
  readonly named: PackageScope['named']
}

/** @param shares of the platforms that the task is about; undefined: all of them. */
export function pushScopeOf({ packages, repoType }: RunObject, shares: PlatformShares | undefined): PushScope {
  const scope = selectPackages(packages, repoType as RepositoryType, 'all')
  const tagsOf = renaming(packages, repoType as RepositoryType)
  const selects = (version: PushableVersion): boolean => {
    const path = versionPath(version.packageKey, version.name)
    const isInside = scope.ranges.some(({ lo, hi }) => path >= lo && (hi === null || path < hi))
    return isInside && (scope.filter === undefined || scope.filter.holds(version.packageKey, version.name))
  }
  const toPush = (version: PushableVersion): VersionToPush => ({
    ...version,
    path: versionPath(version.packageKey, version.name),
    tags: version.listed ? tagsOf(version) : [],
  })

  /** With what is about them or about what they bring along, and what is about that. */
  async function withReferrers(
    reader: Reader,
    repoId: number,
    chosen: readonly PushableVersion[],
    known: readonly PushableVersion[],
  ): Promise<PushableVersion[]> {
    const about = known.filter((version) => subjectOf(version) !== undefined)
    if (about.length === 0) return [...chosen]
    const bySubject = Map.groupBy(about, (version) => keyOf(version.packageKey, subjectOf(version)!))
    const brought = await broughtDigests(reader, repoId, [...new Set(about.map(({ packageKey }) => packageKey))])
    const taken = new Map(chosen.map((version) => [version.id, version]))
    for (const { id, packageKey, digest } of taken.values()) {
      for (const subject of [digest, ...(brought.get(id) ?? [])]) {
        for (const one of bySubject.get(keyOf(packageKey, subject)) ?? []) taken.set(one.id, taken.get(one.id) ?? one)
      }
    }
    return [...taken.values()]
  }

  /** Without what is of no platform that is wanted. */
  async function shared(reader: Reader, repoId: number, found: readonly PushableVersion[]): Promise<VersionToPush[]> {
    const versions = found.map(toPush)
    if (shares === undefined) return versions
    const paths = versions.map(({ path }) => path)
    const known = await shares.of(reader, repoId, paths)
    return versions.flatMap((version) => {
      const share = known.get(version.path) ?? 'whole'
      if (share === 'none') return []
      return [share === 'whole' ? version : { ...version, share }]
    })
  }

  return {
    named: scope.named,
    async all(reader, repoId) {
      const known = await pushableVersions(reader, repoId)
      const chosen = known.filter((version) => version.listed && selects(version))
      return shared(reader, repoId, await withReferrers(reader, repoId, chosen, known))
    },
    async at(reader, repoId, paths) {
      const found = await pushableAt(reader, repoId, paths)
      const direct = found.filter((version) => version.listed && selects(version))
      const keys = [...new Set(found.map(({ packageKey }) => packageKey))]
      if (keys.length === 0 || (await referrersIn(reader, repoId, keys)).length === 0)
        return shared(reader, repoId, direct)
      // Whether the subject of what changed is selected is a question to its whole package.
      const known = await pushableOf(reader, repoId, keys)
      const chosen = known.filter((version) => version.listed && selects(version))
      const all = await withReferrers(reader, repoId, chosen, known)
      const changed = new Set(found.map(({ id }) => id))
      const news = all.filter(({ id }) => changed.has(id))
      // What was about a tag before the tag was there comes with it.
      return shared(reader, repoId, await withReferrers(reader, repoId, news, known))
    },
  }
}

/** What a version is about: by its own word, or by the name that older clients give to signatures and the like. */
function subjectOf({ name, subject }: PushableVersion): string | undefined {
  const [, algorithm, hex] = /^(sha256|sha512)-([0-9a-f]{64,128})(?:\.[a-z]{1,16})?$/.exec(name) ?? []
  return subject ?? (hex === undefined ? undefined : `${algorithm}:${hex}`)
}

const keyOf = (packageKey: string, digest: string): string => `${packageKey}\u0001${digest}`

/** Contract 001, `targetVersions`: tags in place of the version's own. */
function renaming(
  packages: readonly PackageConstraint[] | undefined,
  type: RepositoryType,
): (version: PushableVersion) => readonly string[] {
  const renamed = (packages ?? []).flatMap(({ packageKey, versions, targetVersions }) =>
    targetVersions === undefined || targetVersions.length === 0 || packageKey === null
      ? []
      : (versions ?? []).flatMap((version) =>
          packageKeysFor(packageKey, type).map((key) => [keyOf(key, version), targetVersions] as const),
        ),
  )
  const tags = new Map(renamed)
  return ({ packageKey, name }) => tags.get(keyOf(packageKey, name)) ?? [name]
}

/** Those of which the registry lacks something, by our record. */
export function withoutPushed(
  versions: readonly VersionToPush[],
  pushed: PushedVersions,
  { since, older }: WhatCounts = { since: 0, older: 'pushed' },
): { readonly missing: VersionToPush[]; readonly present: VersionToPush[] } {
  const isOlder = ({ path, digest }: VersionToPush) =>
    older === 'left' && pushed.get(pushedKey(path, OLDER))?.digest === digest
  const isThere = (version: VersionToPush) =>
    namesOf(version).every((name) => {
      const there = pushed.get(pushedKey(version.path, name))
      return there !== undefined && there.digest === formOf(version) && there.at >= since
    })
  const wanted = versions.filter((one) => !isOlder(one))
  return { missing: wanted.filter((one) => !isThere(one)), present: wanted.filter(isThere) }
}
export interface WhatCounts {
  /** Entries of before this time do not count: they are to be looked at again. UTC epoch ms. */
  readonly since: number
  /** `left`: what was here before the link began stays away, unless it changes. */
  readonly older: 'pushed' | 'left'
}

/** As our record has it: its digest, and what it was sent without. */
export const formOf = ({ digest, share }: Pick<VersionToPush, 'digest' | 'share'>): string =>
  share === undefined ? digest : `${digest}${WITHOUT}${hash('sha256', share.leftOut.join())}`
/** The digest in it. */
export const digestOfForm = (form: string): string => form.split(WITHOUT)[0]!
const WITHOUT = ' without '

/** What it is called over there. */
export const namesOf = ({ tags, digest }: Pick<VersionToPush, 'tags' | 'digest'>): readonly string[] =>
  tags.length === 0 ? [digest] : tags
