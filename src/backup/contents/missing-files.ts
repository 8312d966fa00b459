import type { ErrorDocument } from '../records/documents.ts'
import { ERRORS } from '../records/record-files.ts'
import { lineOf } from '../snapshot/repository-records.ts'
import type { Spool } from '../snapshot/spool.ts'
import { createFileSpool, type SpooledFile } from '../snapshot/spooled-file.ts'

/** Files whose contents a run has not, on their way into `errors.json`. */
export interface MissingFiles {
  /** The first 1,000. */
  readonly errors: readonly ErrorDocument[]
  add(error: ErrorDocument): Promise<void>
  done(): Promise<SpooledFile>
  /** For people; undefined: none is missing. @param artifactLocation of the run. */
  words(artifactLocation: string): string | undefined
}

const MOST_ERRORS = 1_000

export function createMissingFiles(spool: Spool): MissingFiles {
  const file = createFileSpool(spool, ERRORS)
  const errors: ErrorDocument[] = []
  let count = 0
  return {
    errors,
    async add(error) {
      count++
      if (errors.length < MOST_ERRORS) errors.push(error)
      if (file.add('', lineOf(error))) await file.flush()
    },
    done: () => file.done(),
    words(artifactLocation) {
      const [first] = errors
      if (first === undefined) return undefined
      const files = count === 1 ? 'The content of 1 file is' : `The contents of ${count} files are`
      return `${files} not in the backup, the first: ${first.path}: ${first.reason}; all are in ${ERRORS} of ${artifactLocation}`
    },
  }
}
