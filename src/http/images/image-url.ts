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

/**
 * Read from the end, for an image may have any of these words in its name: `a/blobs/uploads/manifests/1.0` is a tag of `a/blobs/uploads`.
 * @param rest percent-decoded, without a slash before it. Undefined: no endpoint has this form.
 */
export function parseImageUrl(rest: string): ImageUrl | undefined {
  // To the rule of paths, by which access was checked, it is a slash; nothing that has a place here holds one.
  if (rest.includes('\\')) return undefined
  const parts = rest.split('/')
  const [last = '', before = '', third = ''] = parts.toReversed()
  const image = (words: number) => parts.slice(0, parts.length - words).join('/')
  if (before === 'uploads' && third === 'blobs') {
    return last === ''
      ? { image: image(3), reference: '', operations: UPLOADS }
      : { image: image(3), reference: last, operations: UPLOAD }
  }
  if (before === 'tags' && last === 'list') return { image: image(2), reference: '', operations: TAGS }
  if (before === 'blobs' && last === 'uploads') return { image: image(2), reference: '', operations: UPLOADS }
  const named = { image: image(2), reference: last }
  switch (before) {
    case 'manifests':
      return { ...named, operations: MANIFEST }
    case 'blobs':
      return { ...named, operations: BLOB }
    case 'referrers':
      return { ...named, operations: REFERRERS }
    default:
      return undefined
  }
}

/** Undefined: the URL names no image. */
export function imageInUrl(rest: string): ImageName | undefined {
  return parseImageName(parseImageUrl(rest)?.image ?? '')
}
