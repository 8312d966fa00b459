import { algorithmOf, type ContentName } from '../../core/content-name.ts'
import type { NodePath } from '../../core/paths.ts'

/** `team/nginx`: the distribution specification's `<name>` without project and repository. */
export type ImageName = string & { readonly __brand: 'ImageName' }

const MANIFEST = 'manifest.json'
const INDEX = 'list.manifest.json'

/** core.md 12.1, "Node mapping". */
export const blobPath = (image: ImageName, name: ContentName): NodePath =>
  `/${image}/blobs/${algorithmOf(name)}__${name.slice(algorithmOf(name).length + 1)}` as NodePath
/** @param reference the tag, or the digest of a manifest that was pushed by it. */
export const manifestPath = (image: ImageName, reference: string, kind: 'manifest' | 'index'): NodePath =>
  `/${image}/manifest/${reference}/${kind === 'index' ? INDEX : MANIFEST}` as NodePath
