import type { Format } from '../format.ts'

/** Plain files: there are no packages, and so no versions. */
export const genericFormat: Format<never> = {
  type: 'GENERIC',
  parsePackageKey: () => undefined,
  partsOf: () => [],
}
