import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import type { Command } from 'commander'
import { mapConcurrent } from '../../core/concurrency.ts'
import { messageOf } from '../../core/errors.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { type LocalFile, localFiles } from '../local-files.ts'
import { fileUrl, type NodeInfo } from '../node-listing.ts'
import { type RemotePath, remotePath } from '../remote-path.ts'
import { dataOf, type ServerApi } from '../server-api.ts'
import { bytesText } from '../terminal.ts'
import { progressBar } from '../transfer-progress.ts'

interface UploadOptions {
  readonly overwrite?: boolean
  readonly expires?: string
  readonly metadata?: readonly string[]
}

const FILES_AT_ONCE = 4

/** `entrepot upload files… project/repository/path`. */
export function uploadCommand(program: Command, context: CommandContext): void {
  program
    .command('upload <files...>')
    .description('upload files and folders; the last word is where to: project/repository/path')
    .option('--overwrite', 'replace files that are there')
    .option('--expires <days>', 'have the server delete them after so many days')
    .option('-m, --metadata <key=value>', 'metadata of the files; may be repeated', (pair, all: string[] = []) => [
      ...all,
      pair,
    ])
    .action(async (words: string[], options: UploadOptions, command: Command) => {
      const target = words.pop()
      if (target === undefined || words.length === 0) {
        throw new CliFailure('Say what to upload, and where to: project/repository/path', EXIT.usage)
      }
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const files = placed(await localFiles(words), remotePath(target))
      const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      const bar = progressBar(terminal, 'Uploading', total, 'bytes')
      const headers = headersOf(options)
      const put = async (file: PlacedFile) => upload(server, file, headers, bar.advance)
      const nodes = await mapConcurrent(files, FILES_AT_ONCE, put, context.signal).finally(bar.end)
      terminal.show(nodes, () => [`Uploaded ${files.length} files, ${bytesText(total)}`])
    })
}

interface PlacedFile extends LocalFile {
  readonly at: RemotePath
  readonly fullPath: string
}

/** One file takes the name of the destination, unless that ends with a slash; several go below it. */
function placed(files: readonly LocalFile[], at: RemotePath): PlacedFile[] {
  const only = files.length === 1 && !files[0]!.path.includes('/') && !at.isFolder
  const top = at.path === '/' ? '' : at.path
  return files.map((file) => ({ ...file, at, fullPath: only ? at.path : `${top}/${file.path}` }))
}

async function upload(
  server: ServerApi,
  { file, sizeBytes, at, fullPath }: PlacedFile,
  headers: Readonly<Record<string, string>>,
  onBytes: (count: number) => void,
): Promise<NodeInfo> {
  const sent = createHash('sha256')
  const stream = Readable.from(
    contentOf(file, sizeBytes, (chunk) => {
      sent.update(chunk)
      onBytes(chunk.length)
    }),
  )
  const answer = await server.send('PUT', fileUrl(at, fullPath), { headers, body: { stream, sizeBytes } })
  const node = (await dataOf(answer)) as NodeInfo
  if (node.sha256 !== sent.digest('hex')) {
    throw new CliFailure(`${file} arrived as other bytes, or it changed meanwhile: upload it again`, EXIT.failed)
  }
  return node
}

/** The announced bytes of a file. @throws CliFailure when it cannot be read or has others by now. */
async function* contentOf(file: string, sizeBytes: number, onChunk: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  let left = sizeBytes
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
      left -= chunk.length
      if (left < 0) break
      onChunk(chunk)
      yield chunk
    }
  } catch (error) {
    throw new CliFailure(`Cannot read ${file}: ${messageOf(error)}`, EXIT.usage)
  }
  if (left !== 0) throw new CliFailure(`${file} changed while it was read: upload it again`, EXIT.failed)
}

function headersOf({ overwrite, expires, metadata = [] }: UploadOptions): Record<string, string> {
  const pairs = metadata.map((pair) => {
    const at = pair.indexOf('=')
    if (at < 1) throw new CliFailure(`"${pair}" is no metadata: write key=value`, EXIT.usage)
    return `${encodeURIComponent(pair.slice(0, at))}=${encodeURIComponent(pair.slice(at + 1))}`
  })
  return {
    'x-bkrepo-overwrite': String(overwrite === true),
    ...(expires === undefined ? {} : { 'x-bkrepo-expires': expires }),
    ...(pairs.length === 0 ? {} : { 'x-bkrepo-meta': Buffer.from(pairs.join('&')).toString('base64') }),
  }
}
