import type { ImageName } from '../../artifacts/images/image-paths.ts'
import {
  type ContentName,
  isImageName,
  isTag,
  looksLikeContentName,
  parseContentName,
} from '../../core/content-name.ts'
import type { AppError } from '../../core/errors.ts'
import { ociError } from './errors.ts'

export { blobPath, type ImageName, manifestPath } from '../../artifacts/images/image-paths.ts'
/** A tag, or the digest of a manifest. */
export type Reference =
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'digest'; readonly name: ContentName }

export const parseImageName = (text: string): ImageName | undefined =>
  isImageName(text) ? (text as ImageName) : undefined

/** Undefined: neither a tag nor a digest. @throws AppError DIGEST_INVALID for a digest that is cut short or of an unknown algorithm. */
export function parseReference(text: string): Reference | undefined {
  const name = parseContentName(text)
  if (name !== undefined) return { kind: 'digest', name }
  if (looksLikeContentName(text)) throw digestInvalid(text)
  return isTag(text) ? { kind: 'tag', tag: text } : undefined
}

export const digestInvalid = (text: string): AppError => {
  const digest = text.slice(0, 160)
  return ociError('DIGEST_INVALID', `[${digest}] is no sha256 or sha512 digest`, { digest })
}
