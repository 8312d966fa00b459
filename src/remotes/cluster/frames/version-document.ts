import { parseDigest } from '../../../core/digest.ts'
import { type Hlc, parseHlc } from '../../../core/hlc.ts'
import type { Metadata } from '../../../core/metadata.ts'
import { isMetadataEntry } from './entry-codec.ts'
import type { Authors, PackageWords, VersionDocument, VersionFileEntry } from './frame.ts'
import { broken, MAX_VERSION_FILES } from './frame-limits.ts'
import { jsonObject } from './item-codec.ts'

/** Of tags. */
const MAX_WORDS = 10_000

type Fields = Readonly<Record<string, unknown>>

/** What JSON says of a version, field by field; whatever is not known is left out. @throws AppError ARTIFACT_BROKEN. */
export function readDocument(value: unknown): VersionDocument {
  const fields = jsonObject(value, 'document')
  return {
    files: list(fields.files, MAX_VERSION_FILES, 'files').map(readFile),
    manifestPath: fields.manifestPath === null ? null : text(fields.manifestPath, 'manifestPath'),
    metadata: readMetadata(fields.metadata),
    tags: texts(fields.tags, 'tags'),
    stageTags: texts(fields.stageTags, 'stageTags'),
    extension: jsonObject(fields.extension, 'extension'),
    written: readAuthors(jsonObject(fields.written, 'written')),
    package: readPackage(jsonObject(fields.package, 'package')),
  }
}

function readFile(value: unknown): VersionFileEntry {
  const fields = jsonObject(value, 'file')
  const named = text(fields.digest, 'digest')
  const digest = named.startsWith(SHA256) ? parseDigest(named.slice(SHA256.length)) : undefined
  if (digest === undefined) throw broken('a file of a VERSION has no sha256')
  const { md5 } = fields
  if (md5 !== null && !(typeof md5 === 'string' && MD5.test(md5))) throw broken('an md5 in a VERSION is none')
  return {
    path: text(fields.path, 'path'),
    role: text(fields.role, 'role'),
    digest,
    sizeBytes: number(fields.sizeBytes, 'sizeBytes'),
    md5,
    crc64: fields.crc64 === null ? null : text(fields.crc64, 'crc64'),
    metadata: readMetadata(fields.metadata),
    origin: text(fields.origin, 'origin'),
    hlc: stamp(fields.hlc),
    expiresAt: fields.expiresAt === null ? null : number(fields.expiresAt, 'expiresAt'),
    ...readAuthors(fields),
  }
}
const SHA256 = 'sha256:'
const MD5 = /^[0-9a-f]{32}$/

function readPackage(fields: Fields): PackageWords {
  const tags = Object.entries(jsonObject(fields.versionTag, 'versionTag'))
  if (tags.length > MAX_WORDS) throw broken(`a VERSION has over ${MAX_WORDS} tags`)
  return {
    description: fields.description === null ? null : text(fields.description, 'description'),
    versionTag: Object.fromEntries(tags.map(([tag, version]) => [tag, text(version, 'versionTag')])),
    extension: jsonObject(fields.extension, 'extension'),
    origin: text(fields.origin, 'origin'),
    hlc: stamp(fields.hlc),
    ...readAuthors(fields),
  }
}

const readAuthors = (fields: Fields): Authors => ({
  createdBy: text(fields.createdBy, 'createdBy'),
  createdAt: number(fields.createdAt, 'createdAt'),
  modifiedBy: text(fields.modifiedBy, 'modifiedBy'),
  modifiedAt: number(fields.modifiedAt, 'modifiedAt'),
})

function readMetadata(value: unknown): Metadata | null {
  if (value === null) return null
  if (!Array.isArray(value) || !value.every(isMetadataEntry)) throw broken('metadata is no list of entries')
  return value
}

function list(value: unknown, atMost: number, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > atMost) throw broken(`${what} of a VERSION is no list of up to ${atMost}`)
  return value
}
const texts = (value: unknown, what: string) => list(value, MAX_WORDS, what).map((one) => text(one, what))

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || !value.isWellFormed() || value.includes('\0'))
    throw broken(`${what} of a VERSION is no text`)
  return value
}
function number(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw broken(`${what} of a VERSION is no whole number`)
  return value as number
}
function stamp(value: unknown): Hlc {
  const hlc = typeof value === 'string' ? parseHlc(value) : undefined
  if (hlc === undefined) throw broken('hlc of a VERSION is no stamp')
  return hlc
}
