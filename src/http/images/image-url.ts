import { type ImageName, parseImageName } from '../../formats/oci/coordinates.ts'
import type { OperationName } from '../../formats/oci/operation.ts'

/** The rest of a URL below the repository, split as the specification has it: section "Endpoints". */
export interface ImageUrl {
  /** As it came: maybe no name at all. */
  readonly image: string
  /** Empty when the endpoint names none. */
  readonly reference: string
  readonly operations: Readonly<Partial<Record<Method, OperationName>>>
}
/** HEAD is GET. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

const MANIFEST = { GET: 'getManifest', PUT: 'putManifest', DELETE: 'deleteManifest' } as const
const BLOB = { GET: 'getBlob', DELETE: 'deleteBlob' } as const
const UPLOADS = { POST: 'startUpload' } as const
const UPLOAD = {
  GET: 'uploadStatus',
  PATCH: 'appendUpload',
  PUT: 'finishUpload',
  DELETE: 'cancelUpload',
} as const
const TAGS = { GET: 'listTags' } as const
const REFERRERS = { GET: 'listReferrers' } as const
const OF_ONE: Readonly<Record<string, ImageUrl['operations']>> = Object.assign(Object.create(null), {
  ...{ manifests: MANIFEST, blobs: BLOB, referrers: REFERRERS },
})

/**
 * Read from the end, for an image may have any of these words in its name: `a/blobs/uploads/manifests/1.0` is a tag of `a/blobs/uploads`.
 * @param rest percent-decoded, without a slash before it. Undefined: no endpoint has this form.
 */
export function parseImageUrl(rest: string): ImageUrl | undefined {
  // To the rule of paths, by which access was checked, it is a slash; nothing that has a place here holds one.
  if (rest.includes('\\')) return undefined
  const [beforeLast, last] = cut(rest)
  const [image, before] = cut(beforeLast)
  if (before === 'uploads') {
    const [longer, third] = cut(image)
    if (third !== 'blobs') return undefined
    return { image: longer, reference: last, operations: last === '' ? UPLOADS : UPLOAD }
  }
  if (before === 'tags' && last === 'list') return { image, reference: '', operations: TAGS }
  if (before === 'blobs' && last === 'uploads') return { image, reference: '', operations: UPLOADS }
  const operations = OF_ONE[before]
  return operations && { image, reference: last, operations }
}

/** At the last slash. */
function cut(text: string): [before: string, last: string] {
  const at = text.lastIndexOf('/')
  return at < 0 ? ['', text] : [text.slice(0, at), text.slice(at + 1)]
}

/** Undefined: the URL names no image. */
export function imageInUrl(rest: string): ImageName | undefined {
  return parseImageName(parseImageUrl(rest)?.image ?? '')
}
