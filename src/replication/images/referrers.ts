import { type ImageName, manifestPath } from '../../artifacts/images/image-paths.ts'
import { parseContentName } from '../../core/content-name.ts'
import { packageNameOf, parsePackagePath } from '../../core/package-key.ts'
import type { Reader } from '../../metadata/database.ts'
import {
  type ImageVersion,
  imageVersionsAbout,
  imageVersionsAt,
  imageVersionsNamed,
  imageVersionsWith,
  type ManifestName,
  namedDocuments,
} from '../../metadata/replication/image-versions.ts'
import { ownersAt } from '../../metadata/replication/source-versions.ts'

/** Whoever is about somebody who is about somebody; more is nobody's image. */
const MAX_DEPTH = 16
const AT_ONCE = 500

/**
 * Of these versions those that are about one that `isChosen`, or about a manifest of an index that is, or about such a one. By subject, or by
 * name where older clients know no subjects: `sha256-<hex>` and, with `.sig` and the like behind it, signatures.
 * @param paths places of versions that are not chosen themselves.
 */
export async function aboutChosen(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
  isChosen: (path: string) => boolean,
): Promise<Set<string>> {
  /** Of a version that is asked about, those that depend on it. */
  const dependents = new Map<string, Set<string>>()
  const meant = new Set<string>()
  const mark = (path: string) => {
    const known = dependents.get(path) ?? []
    dependents.delete(path)
    for (const one of known) {
      if (meant.has(one)) continue
      meant.add(one)
      mark(one)
    }
  }
  const asked = new Set(paths)
  let level: ImageVersion[] = []
  for (let at = 0; at < paths.length; at += AT_ONCE) {
    level.push(...(await imageVersionsAt(reader, repoId, paths.slice(at, at + AT_ONCE))))
  }
  for (let depth = 0; level.length > 0 && depth < MAX_DEPTH; depth++) {
    const next = new Map<string, ImageVersion>()
    const about = level.flatMap((version) => {
      const digest = subjectOf(version)
      return digest === undefined ? [] : [{ version, digest, packageKey: version.packageKey }]
    })
    for (let at = 0; at < about.length; at += AT_ONCE) {
      const some = about.slice(at, at + AT_ONCE)
      const found = Map.groupBy(await carriers(reader, repoId, some), (one) => nameOf(one.manifest))
      for (const { version, ...manifest } of some) {
        for (const { path } of found.get(nameOf(manifest)) ?? []) {
          const waiting = dependents.get(path) ?? new Set()
          dependents.set(path, waiting.add(version.path))
          if (isChosen(path) || meant.has(path)) mark(path)
          else if (!asked.has(path)) next.set(path, { ...version, path })
        }
      }
    }
    const paths = [...next.keys()]
    for (const path of paths) asked.add(path)
    level = paths.length === 0 ? [] : await imageVersionsAt(reader, repoId, paths)
  }
  return meant
}

/** What is about these versions, or about the manifests that they name, and what is about that; without themselves. */
export async function referrersOf(reader: Reader, repoId: number, paths: readonly string[]): Promise<string[]> {
  const known = new Set(paths)
  let level = [...paths]
  for (let depth = 0; level.length > 0 && depth < MAX_DEPTH; depth++) {
    const found: string[] = []
    for (let at = 0; at < level.length; at += AT_ONCE) {
      const some = level.slice(at, at + AT_ONCE)
      const manifests = await manifestsOf(reader, repoId, some)
      const referring = [
        ...(await imageVersionsAbout(reader, repoId, manifests)),
        ...(await imageVersionsNamed(reader, repoId, manifests.flatMap(namesAbout))),
      ]
      found.push(...referring.map(({ path }) => path))
    }
    level = [...new Set(found)].filter((path) => !known.has(path))
    for (const path of level) known.add(path)
  }
  return [...known].slice(new Set(paths).size)
}

/** Digests of these versions and of the manifests that they name. */
async function manifestsOf(reader: Reader, repoId: number, paths: readonly string[]): Promise<ManifestName[]> {
  const own = (await imageVersionsAt(reader, repoId, paths)).flatMap(({ packageKey, digest }) =>
    digest === null ? [] : [{ packageKey, digest }],
  )
  const children = (await namedDocuments(reader, repoId, paths)).flatMap(({ packageKey, path }) => {
    const digest = digestIn(path)
    return digest === undefined ? [] : [{ packageKey, digest }]
  })
  return [...new Map([...own, ...children].map((one) => [nameOf(one), one])).values()]
}

/** Versions that have one of the manifests, or are an index that names it. */
async function carriers(reader: Reader, repoId: number, manifests: readonly ManifestName[]) {
  const wanted = [...new Map(manifests.map((one) => [nameOf(one), one])).values()]
  const having = (await imageVersionsWith(reader, repoId, wanted)).map(({ path, packageKey, digest }) => ({
    path,
    manifest: { packageKey, digest: digest! },
  }))
  const places = new Map(
    wanted.flatMap((manifest) => {
      const image = packageNameOf(manifest.packageKey) as ImageName
      const kinds = ['manifest', 'index'] as const
      return kinds.map((kind) => [manifestPath(image, manifest.digest, kind) as string, manifest] as const)
    }),
  )
  const naming = (await ownersAt(reader, repoId, [...places.keys()])).flatMap(({ path, owner }) => {
    const manifest = places.get(path)!
    return parsePackagePath(owner)?.key === manifest.packageKey ? [{ path: owner, manifest }] : []
  })
  return [...having, ...naming]
}

const nameOf = ({ packageKey, digest }: ManifestName): string => `${packageKey}\u0001${digest}`

/** The digest that a manifest's path has in it. */
export function digestIn(path: string): string | undefined {
  const [, digest = ''] = /\/manifest\/([^/]+)\/(?:list\.)?manifest\.json$/.exec(path) ?? []
  return parseContentName(digest)
}

/** Such versions have no name of their own, or one that tells what they are about. */
export const mayBeAbout = (name: string): boolean => /^sha(?:256|512)[:-]/.test(name)

/** What it is about, by its own word or by its name. */
function subjectOf({ name, subject }: ImageVersion): string | undefined {
  const [, algorithm, hex] = /^(sha256|sha512)-([0-9a-f]{64,128})(?:\.[a-z]{1,16})?$/.exec(name) ?? []
  return subject ?? parseContentName(`${algorithm}:${hex}`)
}
const namesAbout = ({ packageKey, digest }: ManifestName) => {
  const name = digest.replace(':', '-')
  return [name, `${name}.sig`, `${name}.att`, `${name}.sbom`].map((one) => ({ packageKey, name: one }))
}
