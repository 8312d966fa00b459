import { type Digest, digestHex, parseDigest } from '../../core/digest.ts'
import { isProjectName, isRepositoryName } from '../../core/names.ts'

/** Names of files below a run (backup.md 3.1). `+` cannot occur in the name of a project. */
export const MANIFEST = 'manifest.json'
export const MANIFEST_SEAL = 'manifest.sha256'
export const CONTENTS = 'bk+store'

const RECORD_FILE = /^[a-z][a-z0-9_-]{0,60}\.json$/
const CONTENT = /^bk\+store\/([0-9a-f]{2})\/([0-9a-f]{2})\/([0-9a-f]{64})$/

export function contentPath(digest: Digest): string {
  const hex = digestHex(digest)
  return `${CONTENTS}/${hex.slice(0, 2)}/${hex.slice(2, 4)}/${hex}`
}

/** Undefined: it is no content. */
export function contentAt(path: string): Digest | undefined {
  const [, first = '', second = '', hex = ''] = CONTENT.exec(path) ?? []
  return hex.startsWith(first + second) ? parseDigest(hex) : undefined
}

/** `node.json`, `project/repository/node.json`; the manifest is none. */
export function isRecordPath(path: string): boolean {
  const [project = '', repo = '', file] = path.split('/')
  return isRecordShaped(path) && (file === undefined || (isProjectName(project) && isRepositoryName(repo)))
}

/** As `isRecordPath`, whatever the names of project and repository are. */
export function isRecordShaped(path: string): boolean {
  const segments = path.split('/')
  return RECORD_FILE.test(segments.at(-1)!) && path !== MANIFEST && (segments.length === 1 || segments.length === 3)
}
