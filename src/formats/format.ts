import type { Digest } from '../core/digest.ts'

/** One file of a package version. */
export interface Part {
  readonly path: string
  readonly digest: Digest
  readonly sizeBytes: number
}

/** All that the rest of the server may know about a package type. `V` is the format's own stored version document. */
export interface Format<V> {
  /** The contract's `repoType`, e.g. `NPM`. */
  readonly type: string
  /** `npm://left-pad` → `{ name: 'left-pad' }`; undefined when it is no key of this format. */
  parsePackageKey(key: string): { readonly name: string } | undefined
  /** What makes up a version, leaves first: a part never refers to a later one (layers, config, manifest, index). Pure. */
  partsOf(version: V): readonly Part[]
}
