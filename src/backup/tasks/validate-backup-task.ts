import { invalid } from '../../core/errors.ts'
import { chosen, fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { TimeRules } from '../../tasks/validate-setting.ts'
import { isDeviceName } from '../places/location-form.ts'
import { ACTIVITY_TYPES, type ActivityType, type BackupTask } from './backup-task.ts'
import { checkBackupSetting } from './validate-backup-setting.ts'
import { checkContent } from './validate-content.ts'

/** A task as it was asked for. */
export type BackupPlan = Pick<BackupTask, 'name' | 'type' | 'storeLocation' | 'content' | 'setting'>

/** It becomes the name of a folder and a file, on any system. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/**
 * The body of a task (backup.md 2), but for whether its place is allowed (`places.ts`). Pure.
 * @throws AppError PARAMETER_INVALID, REQUEST_CONTENT_INVALID, naming the field.
 */
export function checkBackupTask(body: unknown, time: TimeRules): BackupPlan {
  const fields = fieldsOf(body)
  const name = checkName(fields.text('name'))
  const storeLocation = fields.text('storeLocation')
  if (storeLocation === undefined) throw invalid('storeLocation', 'it is missing')
  const type = checkType(fields)
  const content = checkContent(fields, type, time)
  const setting = checkBackupSetting(fields.object('backupSetting') ?? fieldsOf({}), { type, content, time })
  return { name, type, storeLocation, content, setting }
}

function checkName(name: string | undefined): string {
  if (name === undefined) throw invalid('name', 'it is missing')
  if (!NAME.test(name))
    throw invalid('name', 'it must be 1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first')
  if (name.includes('..')) throw invalid('name', 'it holds two dots in a row')
  if (isDeviceName(name)) throw invalid('name', 'Windows keeps it for a device: no file there may have it')
  if (/\.partial$/i.test(name))
    throw invalid('name', 'what ends in .partial is a backup on its way, which no list shows')
  if (/^repo$/i.test(name)) throw invalid('name', 'the folder repo of a place is that of its repository')
  return name
}

function checkType(fields: RequestFields): ActivityType {
  const given = fields.text('type')
  if (given === undefined) return 'DATA_BACKUP'
  const type = chosen(given, ACTIVITY_TYPES)
  if (type === undefined) throw invalid('type', `it must be one of ${ACTIVITY_TYPES.join(', ')}`)
  return type
}
