/** All values the contract's `repoType` can have (replication.md 1.1); which of them this server can hold is up to `formats/`. */
export const REPOSITORY_TYPES = [
  'NONE',
  'GENERIC',
  'DOCKER',
  'MAVEN',
  'PYPI',
  'NPM',
  'HELM',
  'RDS',
  'COMPOSER',
  'RPM',
  'NUGET',
  'GIT',
  'OCI',
  'CONAN',
  'LFS',
  'DDC',
  'SVN',
  'S3',
  'MEDIA',
  'OHPM',
  'CARGO',
  'HUGGINGFACE',
  'DRIVE',
  'SKILL',
] as const
export type RepositoryType = (typeof REPOSITORY_TYPES)[number]

/** `MAVEN` → `gav`, `NPM` → `npm`: what its package keys begin with, before `://` (replication.md 5.1). */
export const packageScheme = (type: RepositoryType): string => (type === 'MAVEN' ? 'gav' : type.toLowerCase())

/** Types whose repositories hold files and nothing else (replication.md 3.6). */
const WITHOUT_PACKAGES: ReadonlySet<string> = new Set(['NONE', 'GENERIC', 'LFS', 'DDC', 'SVN', 'S3', 'MEDIA', 'DRIVE'])
export const holdsPackages = (type: string): boolean => !WITHOUT_PACKAGES.has(type)

/** Images are either; a repository may hold older packages of the other one. */
const IMAGES: readonly RepositoryType[] = ['DOCKER', 'OCI']
export const holdsImages = (type: string): boolean => IMAGES.includes(type as RepositoryType)
/** What the keys of a repository may begin with where something is looked up: its own scheme first. */
export function packageSchemes(type: RepositoryType): string[] {
  const own = packageScheme(type)
  return IMAGES.includes(type) ? [...new Set([own, ...IMAGES.map(packageScheme)])] : [own]
}
