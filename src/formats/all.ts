import type { Format } from './format.ts'
import { genericFormat } from './generic/format.ts'

/** Every package type this server can hold, listed by hand. */
export const FORMATS: readonly Format<never>[] = [genericFormat]

export const BUILT_TYPES: readonly string[] = FORMATS.map(({ type }) => type)
