import { mapConcurrent } from '../../core/concurrency.ts'
import type { Random } from '../../core/ids.ts'
import type { Progress } from '../activities/activity.ts'
import type { BackupReader } from '../layouts/layout.ts'
import type { NodeDocument } from '../records/documents.ts'
import type { Differences } from './differences.ts'
import type { ScratchClient } from './scratch-client.ts'

export interface FileComparison {
  readonly files: number
  /** Those whose bytes were read and hashed; of the others the digest that the server names was compared. */
  readonly read: number
}

export interface Comparing {
  /** Of the contents that are downloaded. */
  readonly percent: number
  readonly random: Pick<Random, 'next'>
  readonly progress: Progress
  /** UTC epoch milliseconds. */
  readonly now: () => number
  /** A later run of the chain has something else there, or nothing. @param path as people know it. */
  readonly isLater: (path: string) => boolean
}

const REQUESTS_AT_ONCE = 16
const FILES_PER_SLICE = 500

/** Every file of a record file against what the scratch server gives its clients. Files whose time is over are not restored. */
export async function compareFiles(
  reader: Pick<BackupReader, 'records'>,
  recordPath: string,
  client: ScratchClient,
  { percent, random, progress, now, isLater }: Comparing,
  differences: Differences,
  signal: AbortSignal,
): Promise<FileComparison> {
  let [files, read] = [0, 0]

  const isOver = ({ expireDate }: NodeDocument) => expireDate !== null && Date.parse(expireDate) <= now()

  async function compare(node: NodeDocument, stop: AbortSignal): Promise<void> {
    const name = `${node.projectId}/${node.repoName}${node.fullPath}`
    if (isLater(name)) return
    const url = `/generic/${encodeURIComponent(node.projectId)}/${encodeURIComponent(node.repoName)}${urlPath(node.fullPath)}`
    files++
    progress.add({ nodes: 1 })
    if (random.next() * 100 >= percent) {
      const named = await client.lookAt(url, stop)
      if (named !== node.sha256 && !isOver(node))
        differences.note(name, named === undefined ? 'it is not there' : 'another digest')
      return
    }
    const { status, sha256, sizeBytes } = await client.read(url, stop)
    read++
    progress.add({ bytes: sizeBytes })
    if (isOver(node)) return
    if (status !== 200) differences.note(name, `reading it is answered with ${status}`)
    else if (sha256 !== node.sha256) differences.note(name, 'its bytes are others')
  }

  let slice: NodeDocument[] = []
  const flush = async () => {
    const nodes = slice
    slice = []
    await mapConcurrent(nodes, REQUESTS_AT_ONCE, compare, signal)
  }
  for await (const line of reader.records(recordPath, signal)) {
    const node = JSON.parse(line) as NodeDocument
    if (node.folder) continue
    if (slice.push(node) === FILES_PER_SLICE) await flush()
  }
  await flush()
  return { files, read }
}

const urlPath = (fullPath: string): string => fullPath.split('/').map(encodeURIComponent).join('/')
