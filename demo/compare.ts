import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { mapConcurrent } from '../src/core/concurrency.ts'
import type { Api, NodeRecord } from '../test/helpers/api.ts'
import { listFiles, userMetadata } from '../test/helpers/replication-calls.ts'
import type { SentFile } from './upload.ts'

const DOWNLOADS_IN_FLIGHT = 8

/**
 * Lists a repository through the API and holds every path, size, sha256 and metadata against what was sent.
 * Gives one line per difference.
 */
export async function differencesOf(
  api: Api,
  repository: string,
  sent: readonly SentFile[],
  signal: AbortSignal,
): Promise<string[]> {
  const expected = new Map(sent.map((file) => [file.path, file]))
  const differences: string[] = []
  for await (const node of listFiles(api, repository, signal)) {
    const file = expected.get(node.fullPath)
    if (file === undefined) differences.push(`${node.fullPath}: nobody sent this`)
    else differences.push(...differencesOfFile(node, file))
    expected.delete(node.fullPath)
  }
  return [...differences, ...[...expected.keys()].map((path) => `${path}: missing`)]
}

function differencesOfFile(node: NodeRecord, file: SentFile): string[] {
  const lines: string[] = []
  if (node.size !== file.sizeBytes) lines.push(`${file.path}: size ${node.size} instead of ${file.sizeBytes}`)
  if (node.sha256 !== file.sha256) lines.push(`${file.path}: sha256 ${node.sha256} instead of ${file.sha256}`)
  const metadata = userMetadata(node)
  // Spread: a record from JSON and one made here may differ in their prototype only.
  if (!isDeepStrictEqual({ ...metadata }, { ...file.metadata })) {
    lines.push(`${file.path}: metadata ${JSON.stringify(metadata)} instead of ${JSON.stringify(file.metadata)}`)
  }
  return lines
}

/** Downloads files and hashes what really arrives. Gives one line per difference. */
export async function wrongDownloads(
  api: Api,
  repository: string,
  sample: readonly SentFile[],
  signal: AbortSignal,
): Promise<string[]> {
  const check = async (file: SentFile, stop: AbortSignal): Promise<string[]> => {
    const hash = createHash('sha256')
    for await (const chunk of await api.download(repository, file.path, stop)) hash.update(chunk as Buffer)
    const sha256 = hash.digest('hex')
    return sha256 === file.sha256 ? [] : [`${file.path}: the downloaded bytes have sha256 ${sha256}`]
  }
  return (await mapConcurrent(sample, DOWNLOADS_IN_FLIGHT, check, signal)).flat()
}
