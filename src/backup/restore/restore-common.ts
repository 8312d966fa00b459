import type { CommonFile, CommonRestore } from '../common/common-file.ts'
import { isDeep } from '../records/record-fields.ts'
import { decodedRecords } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'

/** Users, roles and the like, in the two phases that they have. */
export interface CommonData {
  restore(phase: keyof CommonRestore, signal: AbortSignal): Promise<void>
}

/** Files that the backup lacks were not built yet when it was made, or not asked for. */
export function createCommonData(context: RestoreContext): CommonData {
  const { deps, run, reader } = context
  const files = run.task.content.commonData ? deps.commonFiles.filter(({ path }) => reader.files.includes(path)) : []
  if (run.task.content.commonData && files.length === 0) run.warn('the backup holds no common data')
  const restores = files.map((file: CommonFile) => ({ file, phases: file.restoring(run) }))

  return {
    async restore(phase, signal) {
      for (const { file, phases } of restores) {
        await phases[phase]?.(decodedRecords(context, file.path, parsed, signal), signal)
      }
    },
  }
}

/** What is no JSON, or too deep, is no record for the file either, which refuses it once, however many phases it has. */
function parsed(line: string): unknown {
  try {
    const record: unknown = JSON.parse(line)
    return isDeep(record) ? null : record
  } catch {
    return null
  }
}
