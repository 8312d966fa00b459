import {
  type Descriptor,
  isObject,
  type JsonObject,
  manifestInvalid,
  readAnnotations,
  readDescriptor,
  readOptionalText,
  refuseOtherCase,
} from './descriptor.ts'
import { ociError } from './errors.ts'
import { bareType, isSchema1, kindOf, type ManifestKind, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST } from './media-types.ts'
import { parseStrictJson } from './strict-json.ts'

/** A manifest or an index, of OCI or of docker. Source: OCI image specification 1.1. */
export interface Manifest {
  readonly kind: ManifestKind
  /** As the bytes say it. */
  readonly mediaType: string
  /** Of an index: none. */
  readonly config: Descriptor | undefined
  /** Of an artifact manifest: its blobs. */
  readonly layers: readonly Descriptor[]
  /** Of an index. */
  readonly manifests: readonly Descriptor[]
  readonly subject: Descriptor | undefined
  /** What referrers tell: its own, or the media type of its config. */
  readonly artifactType: string | undefined
  readonly annotations: Readonly<Record<string, string>>
}

export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
/** A version has at most 10,000 files: itself, a config, and these. */
const MAX_REFERENCES = 9_000

/**
 * Pure. @param contentType of the push; undefined: it said none.
 * @throws AppError MANIFEST_INVALID with words; SIZE_INVALID above `MAX_MANIFEST_BYTES`.
 */
export function parseManifest(bytes: Buffer, contentType: string | undefined): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES) throw manifestTooLarge()
  const claimed = contentType === undefined ? undefined : bareType(contentType)
  if (claimed !== undefined && isSchema1(claimed)) throw schema1()
  const { value, problem } = parseStrictJson(bytes)
  if (problem !== undefined) throw manifestInvalid(problem)
  if (!isObject(value)) throw manifestInvalid('it is no JSON object')
  const mediaType = mediaTypeOf(value)
  if (claimed !== undefined && claimed !== mediaType) {
    throw manifestInvalid(`its Content-Type is [${claimed.slice(0, 200)}], but its bytes are [${mediaType}]`)
  }
  refuseOtherCase(value, FIELDS, 'manifest')
  const kind = kindOf(mediaType)!
  const isArtifact = mediaType === OCI_ARTIFACT
  if (!isArtifact && value.schemaVersion !== 2) throw manifestInvalid('[schemaVersion] is not 2')
  const foreign = FOREIGN[kind].find((field) => value[field] !== undefined)
  if (foreign !== undefined)
    throw manifestInvalid(`it is both a manifest and an index: [${foreign}] is not for [${mediaType}]`)
  const isImage = kind === 'manifest' && !isArtifact
  const config = isImage ? readDescriptor(value.config, 'config') : undefined
  const layers = isImage ? readList(value, 'layers') : isArtifact ? readList(value, 'blobs') : []
  const own = readOptionalText(value.artifactType, 'artifactType')
  return {
    ...{ kind, mediaType, config, layers },
    manifests: kind === 'index' ? readList(value, 'manifests') : [],
    subject:
      value.subject === undefined || value.subject === null ? undefined : readDescriptor(value.subject, 'subject'),
    artifactType: own ?? config?.mediaType,
    annotations: readAnnotations(value.annotations, 'annotations'),
  }
}

/** @throws AppError MANIFEST_INVALID. */
function mediaTypeOf(value: JsonObject): string {
  const { mediaType, schemaVersion } = value
  if (schemaVersion === 1) throw schema1()
  if (mediaType === undefined || mediaType === '') {
    if (value.manifests !== undefined) return OCI_INDEX
    if (value.config !== undefined || value.layers !== undefined) return OCI_MANIFEST
    throw manifestInvalid('it has neither [mediaType] nor the form of a manifest or an index')
  }
  if (typeof mediaType !== 'string') throw manifestInvalid('[mediaType] is no text')
  if (isSchema1(mediaType)) throw schema1()
  if (kindOf(mediaType) === undefined)
    throw manifestInvalid(`[mediaType] is [${mediaType.slice(0, 200)}], which is no manifest or index`)
  return mediaType
}

function readList(value: JsonObject, field: string): Descriptor[] {
  const list = value[field] ?? []
  if (!Array.isArray(list)) throw manifestInvalid(`[${field}] is no list`)
  if (list.length > MAX_REFERENCES) throw manifestInvalid(`[${field}] has more than ${MAX_REFERENCES} entries`)
  return list.map((one: unknown, index) => readDescriptor(one, `${field}[${index}]`))
}

export const manifestTooLarge = () =>
  ociError(
    'SIZE_INVALID',
    `The manifest is longer than ${MAX_MANIFEST_BYTES} bytes`,
    { max: MAX_MANIFEST_BYTES },
    { status: 413 },
  )
const schema1 = () => manifestInvalid('it is of schema 1, which is not supported: push it with schema 2 or as OCI')

const FIELDS = [
  ...['schemaVersion', 'mediaType', 'artifactType', 'config', 'layers', 'manifests', 'blobs', 'subject', 'annotations'],
]
const FOREIGN: Readonly<Record<ManifestKind, readonly string[]>> = {
  manifest: ['manifests'],
  index: ['config', 'layers', 'blobs'],
}

const FOREIGN_LAYER =
  /^application\/vnd\.(?:docker\.image\.rootfs\.foreign\.diff|oci\.image\.layer\.nondistributable)\b/
/** A layer that lies elsewhere: it need not be here. */
export const mayBeElsewhere = ({ mediaType, urls }: Descriptor): boolean =>
  urls.length > 0 || FOREIGN_LAYER.test(mediaType)
