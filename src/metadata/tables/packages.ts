import type { Generated } from 'kysely'

/** Packages, versions and their files (core.md 10; docs/design/packages.md). */
export interface PackageTables {
  package: PackageTable
  package_version: PackageVersionTable
  version_file: VersionFileTable
  version_history: VersionHistoryTable
}

/** There while it has a version. Its row is the lock of all that changes its versions. */
interface PackageTable {
  id: Generated<number>
  repo_id: number
  /** `npm://left-pad`; one per repository. */
  key: string
  name: string
  description: string | null
  /** Name of the version that a client gets which asks for none. */
  latest: string
  /** How many there are. */
  versions: number
  downloads: number
  /** JSON object, tag → version name, e.g. the dist-tags of npm. */
  version_tag: string
  /** JSON object, the format's own. */
  extension: string
  /** `peer.id` of the cluster that last wrote it; 0: here. */
  origin: number
  hlc: string
  via_link: number | null
  /** Row hash of name, description, tags and extension. */
  m0: number
  m1: number
  m2: number
  m3: number
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

interface PackageVersionTable {
  id: Generated<number>
  package_id: number
  repo_id: number
  name: string
  /** Sorts as the versions of its format do (core/version-order.ts). */
  ordinal: string
  /** 1: `latest` only when there is no other. */
  prerelease: number
  /** Bytes of its files. */
  size: number
  downloads: number
  manifest_path: string | null
  /** Of its file with the role `main`. */
  artifact_path: string
  /** JSON array of texts. */
  stage_tags: string
  /** JSON array of texts. */
  tags: string
  /** JSON array of entries (`core/metadata.ts`). */
  metadata: string
  /** JSON object, the format's own stored document. */
  extension: string
  /** 0: there for clients that know its name; neither counted nor ever `latest`. This and the two below come from the extension. */
  listed: number
  /** Of its main file, as clients of the format name it, e.g. `sha512:…`. */
  digest: string | null
  /** `digest` of the version of the package that it is about, which may be absent. */
  subject: string | null
  origin: number
  hlc: string
  via_link: number | null
  via_mark: number | null
  /** Row hash of its files, sorted by path. */
  c0: number
  c1: number
  c2: number
  c3: number
  /** Row hash of metadata, tags and extension. */
  m0: number
  m1: number
  m2: number
  m3: number
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

/** A version claims the node at a path: it is deleted with the last version that does. */
interface VersionFileTable {
  version_id: number
  /** Leaves first: a file never refers to a later one. */
  ord: number
  repo_id: number
  path: string
  /** `main`: the version goes when this file goes. Other roles are the format's own words. */
  role: string
}

/** Versions that were deleted; outlives the package. */
interface VersionHistoryTable {
  repo_id: number
  package_key: string
  version: string
  deleted_by: string
  deleted_at: number
}
