import { blobPath, type ImageName } from '../../artifacts/images/image-paths.ts'
import { lanesOfFiles, lanesOfVersion, sizeOfFiles } from '../../artifacts/packages/version-rows.ts'
import type { ContentName } from '../../core/content-name.ts'
import { packageNameOf } from '../../core/package-key.ts'
import { isNoPlatform, isPlatformOf, type Platform } from '../../core/platform.ts'
import type { Reader } from '../../metadata/database.ts'
import { imageVersionsWith } from '../../metadata/replication/image-versions.ts'
import {
  ownersAt,
  packageRowsAt,
  type SourceVersion,
  sourceFilesOf,
} from '../../metadata/replication/source-versions.ts'
import { type ManifestChild, type ManifestFacts, type ManifestReader, platformOf } from './manifest-facts.ts'
import { digestIn } from './referrers.ts'

/** What of a version goes along: all of it, nothing, or an index without some of the manifests that it names. */
export type Share = 'whole' | 'none' | PartialShare
export interface PartialShare {
  /** Digests of the manifests that are left out. */
  readonly leftOut: readonly string[]
  /** Files that only they need. */
  readonly without: ReadonlySet<string>
}

/** Which platforms of images a task is about. */
export interface PlatformShares {
  /** Of the versions at these places; those that are not there are left out. */
  of(reader: Reader, repoId: number, paths: readonly string[]): Promise<Map<string, Share>>
}

const VERSIONS_AT_ONCE = 500
/** Of indexes in indexes, and of what is about what is about an image. */
const MAX_DEPTH = 16

export function createPlatformShares(wanted: readonly Platform[], read: ManifestReader): PlatformShares {
  const isWanted = (platform: Platform) => isPlatformOf(wanted, platform)

  /** @param known shares that were found on the way; what is found is added. */
  async function find(
    reader: Reader,
    repoId: number,
    paths: readonly string[],
    known: Map<string, Share>,
    depth: number,
  ): Promise<void> {
    const rest = [...new Set(paths)].filter((path) => !known.has(path))
    for (let at = 0; at < rest.length; at += VERSIONS_AT_ONCE) {
      const { versions } = await packageRowsAt(reader, repoId, rest.slice(at, at + VERSIONS_AT_ONCE))
      const files = await sourceFilesOf(
        reader,
        repoId,
        versions.filter(isIndex).map(({ version }) => version.id),
      )
      for (const row of versions) {
        const source = { ...row, files: files.get(row.version.id) ?? [] }
        known.set(row.path, isIndex(row) ? await shareOfIndex(reader, repoId, source) : shareOfImage(source))
      }
      if (depth < MAX_DEPTH) await leaveOutRelated(reader, repoId, versions, known, depth)
    }
  }

  function shareOfImage({ version }: Pick<SourceVersion, 'version'>): Share {
    const platform = ownPlatform(version.extension)
    return platform === undefined || isNoPlatform(platform) || isWanted(platform) ? 'whole' : 'none'
  }

  async function shareOfIndex(reader: Reader, repoId: number, source: SourceVersion): Promise<Share> {
    const { version, files } = source
    const documents = files.filter(({ role }) => role === 'main' || role === 'manifest')
    const facts = await read(documents.map(({ file }) => file))
    const byName = new Map<string, ManifestFacts>()
    for (const { file } of documents) {
      const [name, found] = [digestIn(file.path), facts.get(file.digest)]
      if (name !== undefined && found !== undefined) byName.set(name, found)
    }
    const main = documents.find(({ role }) => role === 'main')
    const root = main && facts.get(main.file.digest)
    if (root?.children === undefined) return 'whole'
    const platforms = await platformsOfChildren(reader, repoId, version.packageKey, [...byName.keys()])
    const chosen = choose(root.children, byName, (child) => child.platform ?? platforms.get(child.digest), isWanted)
    if (chosen.leftOut.size === 0) return 'whole'
    if (!chosen.hasWanted) return 'none'
    const image = packageNameOf(version.packageKey) as ImageName
    const kept = pathsOf(image, [root, ...[...chosen.kept].flatMap((name) => byName.get(name) ?? [])])
    const gone = pathsOf(
      image,
      [...chosen.leftOut].flatMap((name) => byName.get(name) ?? []),
    )
    const without = files.flatMap(({ role, file }) => {
      const name = role === 'manifest' ? digestIn(file.path) : undefined
      const isGone =
        name === undefined
          ? role !== 'main' && gone.has(file.path) && !kept.has(file.path)
          : chosen.leftOut.has(name) && !chosen.kept.has(name)
      return isGone ? [file.path] : []
    })
    const leftOut = [...chosen.leftOut].filter((name) => !chosen.kept.has(name)).sort()
    return { leftOut, without: new Set(without) }
  }

  /** Manifests without a name of their own that indexes leave out, and what is about images that are left out. */
  async function leaveOutRelated(
    reader: Reader,
    repoId: number,
    rows: readonly Pick<SourceVersion, 'path' | 'version'>[],
    known: Map<string, Share>,
    depth: number,
  ): Promise<void> {
    const unlisted = rows.filter(({ version }) => !version.listed && version.digest !== null)
    const paths = unlisted.map(({ version }) => version.artifactPath)
    const owners = (await ownersAt(reader, repoId, paths)).filter(({ owner }) => !unlisted.some(isAt(owner)))
    await find(
      reader,
      repoId,
      owners.map(({ owner }) => owner),
      known,
      depth + 1,
    )
    const namedBy = Map.groupBy(owners, ({ path }) => path)
    for (const { path, version } of unlisted) {
      const indexes = (namedBy.get(version.artifactPath) ?? []).map(({ owner }) => known.get(owner) ?? 'none')
      if (indexes.length === 0 || typeof known.get(path) === 'object') continue
      known.set(path, indexes.some((share) => holds(share, version.artifactPath)) ? 'whole' : 'none')
    }
    const about = rows.flatMap(({ path, version: { packageKey, subject } }) =>
      subject === null || known.get(path) === 'none' ? [] : [{ path, packageKey, digest: subject }],
    )
    if (about.length === 0) return
    const found = await imageVersionsWith(reader, repoId, about)
    await find(
      reader,
      repoId,
      found.map(({ path }) => path),
      known,
      depth + 1,
    )
    for (const { path, packageKey, digest } of about) {
      const subjects = found.filter((one) => one.packageKey === packageKey && one.digest === digest)
      // It may be about an image that is not here.
      if (subjects.length > 0 && subjects.every((one) => known.get(one.path) === 'none')) known.set(path, 'none')
    }
  }

  return {
    async of(reader, repoId, paths) {
      const known = new Map<string, Share>()
      await find(reader, repoId, paths, known, 0)
      return new Map(paths.flatMap((path) => (known.has(path) ? [[path, known.get(path)!]] : [])))
    },
  }
}

const isIndex = ({ version }: Pick<SourceVersion, 'version'>): boolean =>
  version.artifactPath.endsWith('/list.manifest.json')
const isAt =
  (place: string) =>
  ({ path }: { readonly path: string }): boolean =>
    path === place
const holds = (share: Share, path: string): boolean =>
  share === 'whole' || (share !== 'none' && !share.without.has(path))

/** As its config says. */
function ownPlatform({ platforms }: Readonly<Record<string, unknown>>): Platform | undefined {
  return Array.isArray(platforms) && platforms.length === 1 ? platformOf(platforms[0]) : undefined
}

async function platformsOfChildren(
  reader: Reader,
  repoId: number,
  packageKey: SourceVersion['version']['packageKey'],
  digests: readonly string[],
): Promise<Map<string, Platform>> {
  const found = await imageVersionsWith(
    reader,
    repoId,
    digests.map((digest) => ({ packageKey, digest })),
  )
  const { versions } = await packageRowsAt(
    reader,
    repoId,
    found.map(({ path }) => path),
  )
  return new Map(
    versions.flatMap(({ version: { digest, extension } }) => {
      const platform = ownPlatform(extension)
      return digest === null || platform === undefined ? [] : [[digest, platform] as const]
    }),
  )
}

interface Choice {
  readonly kept: Set<string>
  readonly leftOut: Set<string>
  /** One of the kept ones has a platform, or none of all has. */
  readonly hasWanted: boolean
}

/** Of the manifests of an index, and of indexes in it. Those without a platform stay, unless they are about one that does not. */
function choose(
  children: readonly ManifestChild[],
  byName: ReadonlyMap<string, ManifestFacts>,
  platformOfChild: (child: ManifestChild) => Platform | undefined,
  isWanted: (platform: Platform) => boolean,
  depth = 0,
): Choice {
  const kept = new Set<string>()
  const leftOut = new Set<string>()
  let [platforms, wanted] = [0, 0]
  const leave = (name: string) => {
    leftOut.add(name)
    const nested = byName.get(name)?.children ?? []
    if (depth < MAX_DEPTH) for (const { digest } of nested) leftOut.add(digest)
  }
  for (const child of children) {
    const inner = byName.get(child.digest)?.children
    if (inner !== undefined && child.platform === undefined && depth < MAX_DEPTH) {
      const choice = choose(inner, byName, platformOfChild, isWanted, depth + 1)
      if (choice.leftOut.size > 0) platforms++
      if (!choice.hasWanted) {
        leave(child.digest)
        continue
      }
      if (choice.leftOut.size > 0) wanted++
      kept.add(child.digest)
      for (const name of choice.kept) kept.add(name)
      for (const name of choice.leftOut) leftOut.add(name)
      continue
    }
    const platform = platformOfChild(child)
    const isNeutral = platform === undefined || isNoPlatform(platform)
    if (!isNeutral) platforms++
    if (isNeutral || isWanted(platform)) {
      kept.add(child.digest)
      if (!isNeutral) wanted++
    } else leave(child.digest)
  }
  for (const { digest, about } of children) {
    if (about === undefined || !leftOut.has(about) || kept.has(about)) continue
    kept.delete(digest)
    leave(digest)
  }
  return { kept, leftOut, hasWanted: wanted > 0 || platforms === 0 }
}

const pathsOf = (image: ImageName, manifests: readonly ManifestFacts[]): Set<string> =>
  new Set(manifests.flatMap(({ blobs }) => blobs.map((name: ContentName) => blobPath(image, name))))

/** A version as its share is sent: it says what it is without. */
export function shareOfSource(source: SourceVersion, share: PartialShare): SourceVersion {
  const files = source.files.filter(({ file }) => !share.without.has(file.path))
  const { version } = source
  const before = Array.isArray(version.extension.leftOut) ? version.extension.leftOut : []
  const leftOut = [...new Set([...before.filter((one) => typeof one === 'string'), ...share.leftOut])].sort()
  const extension = { ...version.extension, leftOut }
  const parts = files.map(({ role, file }) => ({
    role,
    path: file.path,
    digest: file.digest,
    sizeBytes: file.sizeBytes,
  }))
  const { packageKey, name, digest } = version
  return {
    ...source,
    files,
    version: {
      ...version,
      extension,
      sizeBytes: sizeOfFiles(digest, parts),
      contentLanes: lanesOfFiles(packageKey, name, parts),
      metadataLanes: lanesOfVersion(packageKey, { ...version, extension }),
    },
  }
}
