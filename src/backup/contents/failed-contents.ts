import { type Digest, digestHex, parseDigest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { ErrorDocument, NodeDocument } from '../records/documents.ts'
import type { Spool } from '../snapshot/spool.ts'
import { chunksOfFile, type SpooledFile } from '../snapshot/spooled-file.ts'

/** Contents that are missing from a run, and why. */
export interface FailedContents {
  readonly count: number
  /** Whatever comes of it, it is remembered. @throws AppError ARTIFACT_BROKEN when the run ends at its first error. */
  note(digest: Digest, reason: string): void
  /** One for each file whose content it is. */
  errors(spool: Spool, files: readonly SpooledFile[]): AsyncGenerator<ErrorDocument>
}

/** A quote inside of a path would have a backslash before it. */
const CONTENT = /,"sha256":"([0-9a-f]{64})"/

export function createFailedContents(strategy: 'CONTINUE' | 'FAST_FAIL'): FailedContents {
  const reasons = new Map<Digest, string>()
  return {
    get count() {
      return reasons.size
    },
    note(digest, reason) {
      reasons.set(digest, reason)
      if (strategy === 'FAST_FAIL') {
        throw new AppError('ARTIFACT_BROKEN', `The content ${digestHex(digest)} cannot be backed up: ${reason}`, {
          digest,
        })
      }
    },
    async *errors(spool, files) {
      if (reasons.size === 0) return
      for (const file of files.filter(({ path }) => path.endsWith('/node.json'))) {
        for await (const chunk of chunksOfFile(spool, file)) {
          if ('kept' in chunk) continue
          for (const line of chunk.lines.toString().split('\n')) {
            const digest = parseDigest(CONTENT.exec(line)?.[1] ?? '')
            const reason = digest && reasons.get(digest)
            if (reason !== undefined) yield { path: pathOf(JSON.parse(line) as NodeDocument), reason }
          }
        }
      }
    },
  }
}

const pathOf = ({ projectId, repoName, fullPath }: NodeDocument): string => `${projectId}/${repoName}${fullPath}`
