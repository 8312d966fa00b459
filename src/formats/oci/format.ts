import { type PackageKey, packageNameOf } from '../../core/package-key.ts'
import type { Format } from '../format.ts'
import { ociForeignRegistries } from './foreign.ts'
import { imageRules } from './rules.ts'

/** Their clients speak the OCI distribution specification below `/v2`, mounted by `http/images`. */
const images: Omit<Format, 'type'> = {
  packages: imageRules,
  versionPath: ({ project, name }, key, version) =>
    `/v2/${project}/${name}/${packageNameOf(key as PackageKey)}/manifests/${version}`,
  foreign: ociForeignRegistries,
}
export const dockerFormat: Format = { type: 'DOCKER', ...images }
export const ociFormat: Format = { type: 'OCI', ...images }
