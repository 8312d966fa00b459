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
