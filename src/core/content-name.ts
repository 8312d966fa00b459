import { type Digest, parseDigest } from './digest.ts'

/**
 * How clients of a registry name contents: `sha256:` and 64, or `sha512:` and 128 lower-case hex digits. Contents are known inside by
 * their sha256 whatever their name is. Source: OCI image specification, descriptor, "Registered algorithms".
 */
export type ContentName = string & { readonly __brand: 'ContentName' }
export type NamingAlgorithm = 'sha256' | 'sha512'

const REGISTERED = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/
const FORM = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

export const parseContentName = (text: string): ContentName | undefined =>
  REGISTERED.test(text) ? (text as ContentName) : undefined

/** It reads like a digest, though maybe of an algorithm that nobody here knows; never a tag. */
export const looksLikeContentName = (text: string): boolean => FORM.test(text)

/** A registry takes it as the name of a version. Source: OCI distribution specification, "Pulling manifests". */
export const isTag = (text: string): boolean => TAG.test(text)

/** For whoever is refused. */
export const TAG_RULES = '128 letters, digits, _ . - at most, not beginning with . -'

/** Clients limit host and name together to 255 characters. */
const MAX_IMAGE_NAME = 255
const IMAGE_NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
/** The `<name>` of an image, or the beginning of one. Source: OCI distribution specification, "Pulling manifests". */
export const isImageName = (text: string): boolean => text.length <= MAX_IMAGE_NAME && IMAGE_NAME.test(text)

export const algorithmOf = (name: ContentName): NamingAlgorithm => name.slice(0, 6) as NamingAlgorithm

/** The content's own digest when its name tells it; undefined for sha512. */
export const digestNamed = (name: ContentName): Digest | undefined =>
  algorithmOf(name) === 'sha256' ? parseDigest(name.slice(7)) : undefined
