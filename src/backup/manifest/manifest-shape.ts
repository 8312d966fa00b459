import { isProjectName, isRepositoryName } from '../../core/names.ts'
import { isObjectName, shown } from '../../storage/object-name.ts'
import type { BackupContent, RepositorySelector } from '../tasks/backup-task.ts'
import type { Manifest, RecordFile, RecordPart, RepositoryState } from './manifest.ts'
import { isRecordPath } from './run-paths.ts'

type Refuse = (why: string) => Error
type Fields = Readonly<Record<string, unknown>>

const FORMAT_VERSION = 1
const SHA256 = /^[0-9a-f]{64}$/
const ISO_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/
const LONGEST_TEXT = 4_096

/** Takes nothing but what a manifest may hold; fields that it does not know are left out. */
export function manifestOf(value: unknown, refuse: Refuse): Manifest {
  const read = reading(refuse)
  const fields = read.object('', value)
  if (fields.formatVersion !== FORMAT_VERSION) {
    throw refuse(`its formatVersion is ${shown(String(fields.formatVersion))}, and this server reads ${FORMAT_VERSION}`)
  }
  const text = (key: string) => read.text(key, fields[key])
  const count = (key: string) => read.count(key, fields[key])
  const files = read.list('files', fields.files).map((file, at) => recordFileOf(read, `files[${at}]`, file))
  if (new Set(files.map(({ path }) => path)).size !== files.length) throw refuse('it names a file twice')
  const result = text('result')
  if (result !== 'SUCCESS' && result !== 'PARTIAL') throw refuse(`result [${shown(result)}] is none`)
  return {
    formatVersion: FORMAT_VERSION,
    serverVersion: text('serverVersion'),
    clusterId: text('clusterId'),
    taskId: text('taskId'),
    runId: text('runId'),
    name: text('name'),
    startDate: read.date('startDate', fields.startDate),
    snapshotSeq: count('snapshotSeq'),
    snapshotMark: text('snapshotMark'),
    fromSeq: fields.fromSeq === null ? null : count('fromSeq'),
    since: fields.since === null ? null : read.date('since', fields.since),
    content: contentOf(read, fields.content),
    repositories: read
      .list('repositories', fields.repositories)
      .map((repository, at) => repositoryOf(read, `repositories[${at}]`, repository)),
    files,
    blobCount: count('blobCount'),
    blobBytes: count('blobBytes'),
    basedOn: read.list('basedOn', fields.basedOn).map((run, at) => read.name(`basedOn[${at}]`, run)),
    result,
    errors: count('errors'),
  }
}

/** A manifest as it is stored (backup.md 6). */
export const manifestDocument = ({ files, ...rest }: Manifest): Readonly<Record<string, unknown>> => ({
  ...rest,
  files: files.map(({ sizeBytes, parts, ...file }) => ({
    ...file,
    size: sizeBytes,
    ...(parts && { parts: parts.map(({ sizeBytes: size, ...part }) => ({ ...part, size })) }),
  })),
})

function recordFileOf(read: Reading, at: string, value: unknown): RecordFile {
  const fields = read.object(at, value)
  const path = read.text(`${at}.path`, fields.path)
  if (!isRecordPath(path)) throw read.refuse(`${at}.path [${shown(path)}] is no record file of a run`)
  const file = {
    path,
    sizeBytes: read.count(`${at}.size`, fields.size),
    sha256: read.matching(`${at}.sha256`, fields.sha256, SHA256),
    records: read.count(`${at}.records`, fields.records),
  }
  if (fields.parts === undefined) return file
  const parts = read.list(`${at}.parts`, fields.parts).map((part, index) => partOf(read, `${at}.parts[${index}]`, part))
  const sum = (of: (part: RecordPart) => number) => parts.reduce((total, part) => total + of(part), 0)
  if (sum((part) => part.sizeBytes) !== file.sizeBytes || sum((part) => part.records) !== file.records) {
    throw read.refuse(`${at} has parts that do not add up`)
  }
  return { ...file, parts }
}

function partOf(read: Reading, at: string, value: unknown): RecordPart {
  const fields = read.object(at, value)
  return {
    id: read.name(`${at}.id`, fields.id),
    first: read.text(`${at}.first`, fields.first),
    sizeBytes: read.count(`${at}.size`, fields.size),
    records: read.count(`${at}.records`, fields.records),
  }
}

function repositoryOf(read: Reading, at: string, value: unknown): RepositoryState {
  const fields = read.object(at, value)
  const projectId = read.text(`${at}.projectId`, fields.projectId)
  const repoName = read.text(`${at}.repoName`, fields.repoName)
  if (!isProjectName(projectId)) throw read.refuse(`${at}.projectId [${shown(projectId)}] is no name of a project`)
  if (!isRepositoryName(repoName)) throw read.refuse(`${at}.repoName [${shown(repoName)}] is no name of a repository`)
  return {
    projectId,
    repoName,
    repoId: read.count(`${at}.repoId`, fields.repoId),
    epoch: read.text(`${at}.epoch`, fields.epoch),
    seq: read.count(`${at}.seq`, fields.seq),
    quiet: read.text(`${at}.quiet`, fields.quiet),
  }
}

function contentOf(read: Reading, value: unknown): BackupContent {
  const fields = read.object('content', value)
  const { increment, projects } = fields
  return {
    commonData: read.yesNo('content.commonData', fields.commonData),
    compression: read.yesNo('content.compression', fields.compression),
    increment: increment === null ? null : read.yesNo('content.increment', increment),
    incrementDate: read.textOrNull('content.incrementDate', fields.incrementDate),
    projects:
      projects === null
        ? null
        : read.list('content.projects', projects).map((one, at) => selectorOf(read, `content.projects[${at}]`, one)),
  }
}

function selectorOf(read: Reading, at: string, value: unknown): RepositorySelector {
  const fields = read.object(at, value)
  const texts = (key: string): string[] | null => {
    const list = fields[key] ?? null
    return list === null ? null : read.list(`${at}.${key}`, list).map((one) => read.text(`${at}.${key}`, one))
  }
  const text = (key: string) => read.textOrNull(`${at}.${key}`, fields[key] ?? null)
  return {
    projectId: text('projectId'),
    projectRegex: text('projectRegex'),
    repoList: texts('repoList'),
    repoRegex: text('repoRegex'),
    excludeProjects: texts('excludeProjects'),
    excludeRepos: texts('excludeRepos'),
  }
}

interface Reading {
  readonly refuse: Refuse
  object(at: string, value: unknown): Fields
  list(at: string, value: unknown): readonly unknown[]
  text(at: string, value: unknown): string
  textOrNull(at: string, value: unknown): string | null
  matching(at: string, value: unknown, pattern: RegExp): string
  date(at: string, value: unknown): string
  /** A name that is used in paths. */
  name(at: string, value: unknown): string
  /** A whole number from 0 that is exact. */
  count(at: string, value: unknown): number
  yesNo(at: string, value: unknown): boolean
}

function reading(refuse: Refuse): Reading {
  const text = (at: string, value: unknown): string => {
    if (typeof value === 'string' && value.length <= LONGEST_TEXT && value.isWellFormed()) return value
    throw refuse(`${at} is no text, or a very long one`)
  }
  const matching = (at: string, value: unknown, pattern: RegExp): string => {
    const found = text(at, value)
    if (pattern.test(found)) return found
    throw refuse(`${at} [${shown(found)}] has not the form that it should have`)
  }
  return {
    refuse,
    text,
    matching,
    object(at, value) {
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
      throw refuse(`${at === '' ? 'it' : at} is no object`)
    },
    list(at, value) {
      if (Array.isArray(value)) return value
      throw refuse(`${at} is no list`)
    },
    textOrNull: (at, value) => (value === null ? null : text(at, value)),
    date(at, value) {
      const found = matching(at, value, ISO_UTC)
      if (Number.isNaN(Date.parse(found))) throw refuse(`${at} [${found}] is no date`)
      return found
    },
    name(at, value) {
      const found = text(at, value)
      if (isObjectName(found)) return found
      throw refuse(`${at} [${shown(found)}] is no name`)
    },
    count(at, value) {
      if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
      throw refuse(`${at} is no whole number from 0`)
    },
    yesNo(at, value) {
      if (typeof value === 'boolean') return value
      throw refuse(`${at} is neither true nor false`)
    },
  }
}
