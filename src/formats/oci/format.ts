import type { Format } from '../format.ts'
import { ociForeignRegistries } from './foreign.ts'
import { imageRules } from './rules.ts'

/** Their clients speak the OCI distribution specification below `/v2`, mounted by `http/images`. */
export const dockerFormat: Format = { type: 'DOCKER', packages: imageRules, foreign: ociForeignRegistries }
export const ociFormat: Format = { type: 'OCI', packages: imageRules, foreign: ociForeignRegistries }
