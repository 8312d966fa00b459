import type { Format } from '../../formats/format.ts'
import type { BackupReader } from '../layouts/layout.ts'
import type { NodeDocument, VersionDocument } from '../records/documents.ts'
import type { Differences } from './differences.ts'
import type { ScratchClient } from './scratch-client.ts'

const SAMPLES_PER_REPOSITORY = 20

/** Record files of a repository. */
export interface VersionRecords {
  readonly versions: string
  readonly nodes: string
}

/**
 * Reads the first versions of a repository as clients of their format do. Those of which the time of a file is over are not restored.
 * @param now UTC epoch milliseconds. @returns how many were read.
 */
export async function sampleVersions(
  reader: Pick<BackupReader, 'records'>,
  records: VersionRecords,
  format: Pick<Format, 'versionPath'> | undefined,
  client: ScratchClient,
  now: () => number,
  differences: Differences,
  signal: AbortSignal,
): Promise<number> {
  if (format?.versionPath === undefined) return 0
  let samples = 0
  for await (const line of reader.records(records.versions, signal)) {
    const version = JSON.parse(line) as VersionDocument
    const { projectId, repoName, packageKey, name } = version
    const path = format.versionPath({ project: projectId, name: repoName }, packageKey, name)
    const { status, sizeBytes } = await client.read(path, signal)
    const what = `${projectId}/${repoName}: ${packageKey} ${name}`
    if (status === 200 && sizeBytes === 0) differences.note(what, 'its clients get nothing')
    if (status !== 200 && !(await isOver(reader, records.nodes, version, now(), signal)))
      differences.note(what, `its clients are answered with ${status}`)
    if (++samples === SAMPLES_PER_REPOSITORY) break
  }
  return samples
}

async function isOver(
  reader: Pick<BackupReader, 'records'>,
  nodesPath: string,
  { artifactPath, files = [] }: VersionDocument,
  now: number,
  signal: AbortSignal,
): Promise<boolean> {
  const paths = new Set([artifactPath, ...files.map(({ path }) => path)])
  for await (const line of reader.records(nodesPath, signal)) {
    const { fullPath, expireDate } = JSON.parse(line) as NodeDocument
    if (paths.has(fullPath) && expireDate !== null && Date.parse(expireDate) <= now) return true
  }
  return false
}
