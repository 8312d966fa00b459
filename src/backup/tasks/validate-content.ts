import { invalid } from '../../core/errors.ts'
import { fieldsOf, type RequestFields, storableText } from '../../core/request-fields.ts'
import type { TimeRules } from '../../tasks/validate-setting.ts'
import { checkSelectors } from '../records/selection.ts'
import type { ActivityType, BackupContent, RepositorySelector } from './backup-task.ts'

/** What moves data has to say which; what looks after backups takes them as they are. */
const NEEDS_CONTENT: ReadonlySet<ActivityType> = new Set(['DATA_BACKUP', 'DATA_RESTORE'])

/**
 * `content` of a task (backup.md 2, 2.1), every field with a value or null. Pure.
 * @throws AppError PARAMETER_INVALID, REQUEST_CONTENT_INVALID.
 */
export function checkContent(body: RequestFields, type: ActivityType, { now, parseTime }: TimeRules): BackupContent {
  const given = body.object('content')
  if (given === undefined && NEEDS_CONTENT.has(type)) throw invalid('content', 'it is missing')
  const fields = given ?? fieldsOf({})
  const projects = fields.list('projects')?.map(readSelector) ?? null
  const content: BackupContent = {
    commonData: fields.flag('commonData') ?? false,
    compression: fields.flag('compression') ?? false,
    increment: fields.flag('increment') ?? null,
    incrementDate: fields.text('incrementDate') ?? null,
    projects,
  }
  if (NEEDS_CONTENT.has(type) && !content.commonData && (projects ?? []).length === 0)
    throw invalid('content', 'it selects nothing: name projects, or set commonData')
  if (projects !== null) checkSelectors(projects)
  if (content.incrementDate !== null && parseTime('incrementDate', content.incrementDate) > now)
    throw invalid('incrementDate', 'it is in the future: nothing can have changed since then')
  return content
}

function readSelector(value: unknown, index: number): RepositorySelector {
  const fields = fieldsOf(value, `projects[${index}]`)
  const text = (name: string) => fields.text(name) ?? null
  const names = (name: string) => fields.list(name)?.map((item) => storableText(name, item)) ?? null
  return {
    projectId: text('projectId'),
    projectRegex: text('projectRegex'),
    repoList: names('repoList'),
    repoRegex: text('repoRegex'),
    excludeProjects: names('excludeProjects'),
    excludeRepos: names('excludeRepos'),
  }
}
