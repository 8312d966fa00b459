import type { Format } from '../format.ts'

/** Plain files: there are no packages, and so no versions. */
export const genericFormat: Format = { type: 'GENERIC' }
