import { invalid, missing } from '../../core/errors.ts'
import { isProjectName, isRepositoryName } from '../../core/names.ts'
import { type NodePath, normalisePath } from '../../core/paths.ts'
import { type RequestFields, storableText, unreadable } from '../../core/request-fields.ts'
import type { Authored } from '../records/documents.ts'
import type { ParseTime } from '../records/record-fields.ts'

export type { ParseTime } from '../records/record-fields.ts'

/** Who made something and changed it last, as the database keeps it. */
export interface Authorship {
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

/** Of a field of a record; far above what anybody uses. */
const MAX_TEXT_LENGTH = 2_048
const MAX_LIST_LENGTH = 10_000

export const isoTime = (ms: number): string => new Date(ms).toISOString()
export const isoTimeOrNull = (ms: number | null): string | null => (ms === null ? null : isoTime(ms))

export const authored = ({ createdBy, createdAt, modifiedBy, modifiedAt }: Authorship): Authored => ({
  createdBy,
  createdDate: isoTime(createdAt),
  lastModifiedBy: modifiedBy,
  lastModifiedDate: isoTime(modifiedAt),
})

/** All below: @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID naming the field. */
export const authorshipIn = (fields: RequestFields, parseTime: ParseTime): Authorship => ({
  createdBy: shortText(fields, 'createdBy'),
  createdAt: timeIn(fields, 'createdDate', parseTime),
  modifiedBy: shortText(fields, 'lastModifiedBy'),
  modifiedAt: timeIn(fields, 'lastModifiedDate', parseTime),
})

export function timeIn(fields: RequestFields, name: string, parseTime: ParseTime): number {
  const given = fields.raw(name)
  if (given === undefined) throw missing(name)
  return parseTime(name, given)
}
export function optionalTimeIn(fields: RequestFields, name: string, parseTime: ParseTime): number | null {
  const given = fields.raw(name)
  return given === undefined ? null : parseTime(name, given)
}

export function shortText(fields: RequestFields, name: string, most = MAX_TEXT_LENGTH): string {
  const text = fields.requiredText(name)
  if (text.length > most) throw invalid(name, `at most ${most} characters`)
  return text
}
export function optionalText(fields: RequestFields, name: string, most = MAX_TEXT_LENGTH): string | null {
  const text = fields.text(name) ?? null
  if (text !== null && text.length > most) throw invalid(name, `at most ${most} characters`)
  return text
}

/** Each once. Absent: none. */
export function textsIn(fields: RequestFields, name: string, accept?: (text: string) => boolean): string[] {
  const list = fields.list(name) ?? []
  if (list.length > MAX_LIST_LENGTH) throw invalid(name, `at most ${MAX_LIST_LENGTH}`)
  const texts = [...new Set(list.map((item) => storableText(name, item)))]
  const wrong = texts.findIndex((text) => text === '' || text.length > MAX_TEXT_LENGTH || accept?.(text) === false)
  if (wrong >= 0) throw invalid(name, `its entry ${wrong + 1} is not what it should be`)
  return texts
}

/** Normalised already: anything else was not written by a backup. */
export function pathsIn(fields: RequestFields, name: string): NodePath[] {
  const isNormal = (text: string) => normalisePath(text) === text
  return textsIn(fields, name, isNormal) as NodePath[]
}

export function projectIn(fields: RequestFields, name = 'projectId'): string {
  const project = fields.requiredText(name)
  if (!isProjectName(project)) throw invalid(name, 'it is no name of a project')
  return project
}
export function repositoryIn(fields: RequestFields, name = 'repoName'): string {
  const repo = fields.requiredText(name)
  if (!isRepositoryName(repo)) throw invalid(name, 'it is no name of a repository')
  return repo
}
export const optionalRepositoryIn = (fields: RequestFields, name = 'repoName'): string | null =>
  fields.text(name) === undefined ? null : repositoryIn(fields, name)

/** SHA-256 in hex. */
export function hashIn(fields: RequestFields, name: string): Buffer {
  const text = fields.requiredText(name)
  if (!/^[0-9a-f]{64}$/.test(text)) throw invalid(name, 'it is no SHA-256 in hex')
  return Buffer.from(text, 'hex')
}

export function choiceIn<T extends string>(fields: RequestFields, name: string, values: readonly T[]): T {
  const text = fields.requiredText(name)
  const choice = values.find((value) => value === text)
  if (choice === undefined) throw unreadable(name, `must be one of ${values.join(', ')}`)
  return choice
}
