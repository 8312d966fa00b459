import type { Format } from '../../formats/format.ts'
import type { BackupReader } from '../layouts/layout.ts'
import type { VersionDocument } from '../records/documents.ts'
import type { Differences } from './differences.ts'
import type { ScratchClient } from './scratch-client.ts'

const SAMPLES_PER_REPOSITORY = 20

/** Reads the first versions of a record file as clients of their format do. @returns how many were read. */
export async function sampleVersions(
  reader: Pick<BackupReader, 'records'>,
  recordPath: string,
  format: Pick<Format, 'versionPath'> | undefined,
  client: ScratchClient,
  differences: Differences,
  signal: AbortSignal,
): Promise<number> {
  if (format?.versionPath === undefined) return 0
  let samples = 0
  for await (const line of reader.records(recordPath, signal)) {
    const version = JSON.parse(line) as VersionDocument
    const { projectId, repoName, packageKey, name } = version
    const path = format.versionPath({ project: projectId, name: repoName }, packageKey, name)
    const { status, sizeBytes } = await client.read(path, signal)
    const what = `${projectId}/${repoName}: ${packageKey} ${name}`
    if (status !== 200) differences.note(what, `its clients are answered with ${status}`)
    else if (sizeBytes === 0) differences.note(what, 'its clients get nothing')
    if (++samples === SAMPLES_PER_REPOSITORY) break
  }
  return samples
}
