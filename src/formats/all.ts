import type { Format } from './format.ts'
import { genericFormat } from './generic/format.ts'
import { dockerFormat, ociFormat } from './oci/format.ts'

/** Every package type this server can hold, listed by hand. */
export const FORMATS: readonly Format[] = [genericFormat, dockerFormat, ociFormat]
