import { type Digest, parseDigest } from '../../core/digest.ts'
import { REPOSITORY_TYPES, type RepositoryType } from '../../core/repository-type.ts'
import type { RepositoryCategory } from '../../metadata/repositories/repositories.ts'
import type {
  DecodedAuthors,
  DecodedNode,
  DecodedPackage,
  DecodedProject,
  DecodedRepository,
  DecodedTombstone,
  DecodedVersion,
} from './decoded.ts'
import { brokenRecord, type ParseTime, type RecordFields, recordFields } from './record-fields.ts'

/**
 * Judges records before anything is made of them: names, paths and digests by their own patterns, so that no path of a disk is ever built
 * from what a file says. Each takes a line of a record file. Undefined: the reference wrote a row that was deleted already.
 * @throws AppError ARTIFACT_BROKEN naming the field.
 */
export interface RecordDecoder {
  project(line: string): DecodedProject | undefined
  repository(line: string): DecodedRepository | undefined
  node(line: string): DecodedNode | undefined
  package(line: string): DecodedPackage | undefined
  version(line: string): DecodedVersion | undefined
  tombstone(line: string): DecodedTombstone
}

const CATEGORIES: readonly RepositoryCategory[] = ['LOCAL', 'REMOTE', 'VIRTUAL', 'COMPOSITE']
/** What the reference writes for files that came in separate blocks: their content has no digest. */
const NO_DIGEST = /^0{64}$/
const MD5 = /^[0-9a-f]{32}$/i
const CRC64 = /^\d{1,20}$/
const UNKNOWN = 'unknown'
/** Users here have up to 64 characters; other servers are free. */
const MAX_WHO = 256

/** @param parseTime of the server's zone. */
export function createRecordDecoder(parseTime: ParseTime): RecordDecoder {
  const fieldsOf = (line: string) => recordFields(parsedLine(line), parseTime)
  const live =
    <T>(decode: (fields: RecordFields) => T) =>
    (line: string): T | undefined => {
      const fields = fieldsOf(line)
      return fields.raw('deleted') === undefined ? decode(fields) : undefined
    }
  return {
    project: live(decodeProject),
    repository: live(decodeRepository),
    node: live(decodeNode),
    package: live(decodePackage),
    version: live(decodeVersion),
    tombstone: (line) => decodeTombstone(fieldsOf(line)),
  }
}

function parsedLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw brokenRecord('it is not JSON')
  }
}

function authorsOf(fields: RecordFields): DecodedAuthors {
  const createdBy = whoIn(fields, 'createdBy') ?? UNKNOWN
  const createdAt = fields.requiredTime('createdDate')
  return {
    createdBy,
    createdAt,
    modifiedBy: whoIn(fields, 'lastModifiedBy') ?? createdBy,
    modifiedAt: fields.time('lastModifiedDate') ?? createdAt,
  }
}
function whoIn(fields: RecordFields, name: string): string | undefined {
  const who = fields.text(name)
  if (who !== undefined && who.length > MAX_WHO) throw brokenRecord(`[${name}] is longer than ${MAX_WHO} characters`)
  return who
}
const placeOf = (fields: RecordFields) => ({
  project: fields.project('projectId'),
  repo: fields.repository('repoName'),
})

function decodeProject(fields: RecordFields): DecodedProject {
  const name = fields.project('name')
  return {
    name,
    displayName: fields.text('displayName') ?? name,
    description: fields.text('description') ?? '',
    metadata: fields.metadata('metadata'),
    ...authorsOf(fields),
  }
}

function decodeRepository(fields: RecordFields): DecodedRepository {
  const type = fields.requiredText('type')
  if (!REPOSITORY_TYPES.includes(type as RepositoryType)) throw brokenRecord(`[type] ${type.slice(0, 40)} is none`)
  const category = fields.text('category') ?? 'LOCAL'
  if (!CATEGORIES.includes(category as RepositoryCategory)) throw brokenRecord('[category] is none')
  return {
    project: fields.project('projectId'),
    name: fields.repository('name'),
    type: type as RepositoryType,
    category: category as RepositoryCategory,
    public: fields.flag('public') ?? false,
    description: fields.text('description') ?? null,
    displayName: fields.text('displayName') ?? null,
    display: fields.flag('display') ?? true,
    owner: fields.text('owner') ?? null,
    visibility: fields.text('visibility') ?? null,
    configuration: fields.object('configuration') ?? {},
    secrets: new Map(Object.entries(textsOf(fields, 'secrets'))),
    quota: fields.count('quota') ?? null,
    ...authorsOf(fields),
  }
}

function decodeNode(fields: RecordFields): DecodedNode {
  const folder = fields.flag('folder') ?? false
  const md5 = fields.text('md5')
  const crc64 = fields.text('crc64ecma')
  return {
    ...placeOf(fields),
    path: fields.path('fullPath'),
    folder,
    digest: folder ? undefined : digestOf(fields),
    sizeBytes: folder ? 0 : (fields.count('size') ?? 0),
    md5: md5 !== undefined && MD5.test(md5) ? md5.toLowerCase() : null,
    crc64: crc64 !== undefined && CRC64.test(crc64) ? crc64 : null,
    metadata: fields.metadata('metadata'),
    expiresAt: fields.time('expireDate') ?? null,
    accessedAt: fields.time('lastAccessDate') ?? null,
    ...authorsOf(fields),
  }
}

function digestOf(fields: RecordFields): Digest {
  const text = fields.requiredText('sha256')
  const digest = parseDigest(text)
  if (digest === undefined) throw brokenRecord('[sha256] is no digest')
  if (NO_DIGEST.test(text)) throw brokenRecord('[sha256] is all zeros: the backup does not hold the content')
  return digest
}

function decodePackage(fields: RecordFields): DecodedPackage {
  return {
    ...placeOf(fields),
    key: fields.requiredText('key'),
    name: fields.requiredText('name'),
    description: fields.text('description') ?? null,
    latest: fields.text('latest') ?? '',
    downloads: fields.count('downloads') ?? 0,
    versionTag: textsOf(fields, 'versionTag'),
    extension: fields.object('extension') ?? {},
    ...authorsOf(fields),
  }
}

function decodeVersion(fields: RecordFields): DecodedVersion {
  return {
    ...placeOf(fields),
    packageKey: fields.requiredText('packageKey'),
    name: fields.requiredText('name'),
    downloads: fields.count('downloads') ?? 0,
    manifestPath: fields.text('manifestPath') ?? null,
    artifactPath: fields.text('artifactPath') ?? null,
    stageTags: fields.texts('stageTag'),
    tags: fields.texts('tags'),
    metadata: fields.metadata('metadata'),
    extension: fields.object('extension') ?? {},
    files: filesOf(fields),
    ...authorsOf(fields),
  }
}

function filesOf(fields: RecordFields): DecodedVersion['files'] {
  const found = fields.raw('files')
  if (found === undefined) return undefined
  if (!Array.isArray(found)) throw brokenRecord('[files] is no list')
  return found.map((file) => {
    const inner = recordFields(file, () => Number.NaN)
    return { path: inner.path('path'), role: inner.requiredText('role') }
  })
}

function decodeTombstone(fields: RecordFields): DecodedTombstone {
  const kind = fields.requiredText('kind')
  const holdsPackage = kind === 'VERSION' || kind === 'PACKAGE'
  if (!holdsPackage && kind !== 'NODE' && kind !== 'REPOSITORY') throw brokenRecord('[kind] is none')
  return {
    kind,
    ...placeOf(fields),
    path: kind === 'NODE' ? fields.path('fullPath') : undefined,
    folder: fields.flag('folder'),
    packageKey: holdsPackage ? fields.requiredText('packageKey') : undefined,
    version: kind === 'VERSION' ? fields.requiredText('version') : undefined,
    deletedBy: whoIn(fields, 'deletedBy') ?? UNKNOWN,
    deletedAt: fields.requiredTime('deletedDate'),
  }
}

/** A map of texts. */
function textsOf(fields: RecordFields, name: string): Readonly<Record<string, string>> {
  const found = fields.object(name) ?? {}
  for (const value of Object.values(found))
    if (typeof value !== 'string') throw brokenRecord(`[${name}] holds no texts`)
  return found as Record<string, string>
}
