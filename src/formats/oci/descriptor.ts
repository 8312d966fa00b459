import { type ContentName, parseContentName } from '../../core/content-name.ts'
import { ociError } from './errors.ts'

/** What a manifest says of something that it names. Source: OCI image specification 1.1, "OCI Content Descriptors". */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: ContentName
  readonly sizeBytes: number
  /** Where a foreign layer may be got. */
  readonly urls: readonly string[]
  readonly platform: Platform | undefined
}
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

const MAX_TEXT = 255
export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const manifestInvalid = (why: string, detail?: Readonly<Record<string, unknown>>) =>
  ociError('MANIFEST_INVALID', `The manifest is invalid: ${why}`, detail)

/** @param where as messages call it, e.g. `layers[3]`. @throws AppError MANIFEST_INVALID. */
export function readDescriptor(value: unknown, where: string): Descriptor {
  if (!isObject(value)) throw manifestInvalid(`[${where}] is no descriptor`)
  refuseOtherCase(value, DESCRIPTOR_FIELDS, where)
  const { digest, size, annotations, data, artifactType } = value
  const urls = value.urls ?? []
  const mediaType = readText(value.mediaType, `${where}.mediaType`)
  const name = typeof digest === 'string' ? parseContentName(digest) : undefined
  if (name === undefined) {
    throw manifestInvalid(`[${where}.digest] is no sha256 or sha512 digest`, { digest: String(digest).slice(0, 200) })
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw manifestInvalid(`[${where}.size] is no number of bytes`)
  if (!Array.isArray(urls) || urls.some((url) => typeof url !== 'string'))
    throw manifestInvalid(`[${where}.urls] is no list of texts`)
  readAnnotations(annotations, `${where}.annotations`)
  if (typeof (data ?? '') !== 'string') throw manifestInvalid(`[${where}.data] is no text`)
  readOptionalText(artifactType, `${where}.artifactType`)
  const platform = readPlatform(value.platform ?? {}, `${where}.platform`)
  return { mediaType, digest: name, sizeBytes: size, urls: urls as string[], platform }
}

/** Undefined where it does not say both: some that are no images leave them out. */
function readPlatform(value: unknown, where: string): Platform | undefined {
  if (!isObject(value)) throw manifestInvalid(`[${where}] is no object`)
  for (const field of ['os', 'architecture', 'variant']) {
    if (typeof (value[field] ?? '') !== 'string') throw manifestInvalid(`[${where}.${field}] is no text`)
  }
  return platformIn(value)
}
/** Undefined where it says none. */
export function platformIn({ os, architecture, variant }: JsonObject): Platform | undefined {
  if (typeof os !== 'string' || typeof architecture !== 'string' || os === '') return undefined
  return { os, architecture, ...(typeof variant === 'string' && variant !== '' ? { variant } : {}) }
}

/** @throws AppError MANIFEST_INVALID. */
export function readText(value: unknown, where: string): string {
  const isText = typeof value === 'string' && value !== '' && value.length <= MAX_TEXT && !CONTROL.test(value)
  if (!isText) throw manifestInvalid(`[${where}] is no text of 1 to ${MAX_TEXT} characters`)
  return value
}
export const readOptionalText = (value: unknown, where: string): string | undefined =>
  value === undefined || value === null || value === '' ? undefined : readText(value, where)
const CONTROL = /[\u0000-\u001f\u007f]/

export function readAnnotations(value: unknown, where: string): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {}
  if (!isObject(value) || Object.values(value).some((text) => typeof text !== 'string'))
    throw manifestInvalid(`[${where}] is no object of texts`)
  return value as Record<string, string>
}

const DESCRIPTOR_FIELDS = ['mediaType', 'digest', 'size', 'urls', 'annotations', 'data', 'artifactType', 'platform']

/** Some readers take `Layers` for `layers`: what they see must not differ from what was checked here. */
export function refuseOtherCase(value: JsonObject, fields: readonly string[], where: string): void {
  for (const name of Object.keys(value)) {
    const meant = fields.find((field) => field !== name && field.toLowerCase() === name.toLowerCase())
    if (meant !== undefined) throw manifestInvalid(`[${where}] has [${name}], which some read as [${meant}]`)
  }
}
