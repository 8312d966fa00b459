import type { PackageCopy } from '../../artifacts/packages/version-copies.ts'
import { lanesOfPackage } from '../../artifacts/packages/version-rows.ts'
import { NO_LANES } from '../../core/lanes.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { Deletion } from '../../metadata/nodes/node-writes.ts'
import type { ClaimedPackage, PackageRecord } from '../../metadata/packages/packages.ts'
import type { PackageWords, VersionFrame } from '../../remotes/cluster/frames/frame.ts'
import type { Outcome, Rules } from './decision.ts'
import type { VersionFacts } from './version-facts.ts'
import { type Arriving, decidePackage } from './version-rule.ts'

/** What becomes of the packages of a batch. */
export interface PackageNotes {
  /** A version of it was written, or is as it comes: its words are taken, unless somebody here said others. */
  note(frame: VersionFrame, key: PackageKey, as: 'changed' | 'unchanged'): void
  /** Words that come alone. */
  settle(frame: VersionFrame, key: PackageKey): Outcome
  /** Those to be written; one that was made for a version which was not written goes again. */
  copies(): PackageCopy[]
}

const UNKNOWN = { is: 'unknown' } as const
/** A package is nothing but what is said about it. */
const rowOf = (owner: PackageRecord) => ({ ...owner, contentLanes: NO_LANES, viaMark: null })

export function createPackageNotes(
  { packages }: Pick<VersionFacts, 'packages'>,
  rules: Rules,
  originOf: (clusterId: string) => number,
  now: number,
): PackageNotes {
  const noted = new Map<PackageKey, PackageCopy>()

  function take(owner: ClaimedPackage, { document }: VersionFrame): void {
    const words = document.package
    const { description, versionTag, extension, modifiedBy: by, hlc, origin } = words
    const saidBy: Deletion = { by, at: now, hlc, origin: originOf(origin), viaLink: rules.via }
    noted.set(owner.key, { owner, isNew: owner.isNew, words: { description, versionTag, extension }, saidBy })
  }
  function keep(owner: ClaimedPackage): void {
    if (noted.has(owner.key)) return
    const { modifiedBy: by, hlc, origin, viaLink } = owner
    noted.set(owner.key, {
      owner,
      isNew: owner.isNew,
      words: undefined,
      saidBy: { by, at: now, hlc, origin, viaLink },
    })
  }

  return {
    note(frame, key, as) {
      const owner = packages.get(key)
      if (owner === undefined) return
      const arriving = arrivingOf({ ...frame, expect: UNKNOWN }, owner)
      if (owner.isNew || 'write' in decidePackage(arriving, rowOf(owner), rules)) take(owner, frame)
      else if (as === 'changed') keep(owner)
    },
    settle(frame, key) {
      const owner = packages.get(key)
      // Its versions bring it.
      if (owner === undefined || owner.isNew) return { result: 'unchanged' }
      const decision = decidePackage(arrivingOf(frame, owner), rowOf(owner), rules)
      if (!('write' in decision)) return decision
      take(owner, frame)
      return { result: decision.write }
    },
    copies() {
      for (const owner of packages.values()) if (owner.isNew) keep(owner)
      return [...noted.values()]
    },
  }
}

function arrivingOf({ document, expect }: VersionFrame, { key, name }: PackageRecord): Arriving {
  const { description, versionTag, extension, hlc, origin }: PackageWords = document.package
  return {
    name: `package [${key}]`,
    contentLanes: NO_LANES,
    metadataLanes: lanesOfPackage({ key, name, description, versionTag, extension }),
    ...{ hlc, origin, expect },
  }
}
