import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { lstat, mkdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { mapConcurrent } from '../../core/concurrency.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { fileUrl, listNodes, type NodeInfo, nodeDetail } from '../node-listing.ts'
import { type RemotePath, remotePath } from '../remote-path.ts'
import { dataOf, type ServerApi } from '../server-api.ts'
import { bytesText } from '../terminal.ts'
import { counting, progressBar } from '../transfer-progress.ts'

const FILES_AT_ONCE = 4

/** `entrepot download project/repository/path [to]`. */
export function downloadCommand(program: Command, context: CommandContext): void {
  program
    .command('download <path> [to]')
    .description('download a file, or a folder with all below it; every digest is checked')
    .action(async (text: string, to: string | undefined, _options: object, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const at = remotePath(text)
      const node = await nodeDetail(server, at)
      const wanted = node.folder ? await filesBelow(server, at, to ?? '.') : [await oneFile(node, to ?? '.')]
      const total = wanted.reduce((sum, { size }) => sum + size, 0)
      const bar = progressBar(terminal, 'Downloading', total, 'bytes')
      const get = (file: WantedFile) => download(server, at, file, context.ids.key(), bar.advance)
      await mapConcurrent(wanted, FILES_AT_ONCE, get, context.signal).finally(bar.end)
      const result = wanted.map(({ fullPath, file, size, sha256 }) => ({ fullPath, file, size, sha256 }))
      terminal.show(result, () => [`Downloaded ${wanted.length} files, ${bytesText(total)}`])
    })
}

interface WantedFile extends NodeInfo {
  readonly file: string
}

async function oneFile(node: NodeInfo, to: string): Promise<WantedFile> {
  const isDirectory = to.endsWith('/') || (await stat(to).catch(() => undefined))?.isDirectory() === true
  return { ...node, file: isDirectory ? join(to, basename(node.fullPath)) : to }
}

/** The folder itself is made below the destination, as copying programs do. */
async function filesBelow(server: ServerApi, at: RemotePath, to: string): Promise<WantedFile[]> {
  const top = resolve(to, at.path === '/' ? at.repo : basename(at.path))
  const wanted: WantedFile[] = []
  for await (const node of listNodes(server, at, 'tree')) {
    if (node.folder) continue
    const below = node.fullPath.slice(at.path === '/' ? 1 : at.path.length + 1)
    const file = resolve(top, below)
    // The server's word does not get to write outside of the folder that the user named.
    if (!file.startsWith(top + sep)) throw new CliFailure(`${node.fullPath} would leave ${top}`, EXIT.failed)
    wanted.push({ ...node, file })
  }
  return wanted
}

/** Written beside its place first, so that a file with the right name has the right bytes. */
async function download(
  server: ServerApi,
  at: RemotePath,
  { fullPath, file, sha256 }: WantedFile,
  draft: string,
  onBytes: (count: number) => void,
): Promise<void> {
  const there = await lstat(file).catch(() => undefined)
  if (there !== undefined && !there.isFile()) {
    throw new CliFailure(`${file} is there and no ordinary file: choose another place`, EXIT.usage)
  }
  await mkdir(dirname(file), { recursive: true })
  const answer = await server.send('GET', fileUrl(at, fullPath))
  if (answer.statusCode !== 200) await dataOf(answer)
  // A name that no file of the server has: `a` and `a.part` may come at once.
  const part = join(dirname(file), `.entrepot-${draft}.part`)
  const hash = createHash('sha256')
  const counted = counting((count) => onBytes(count)).on('data', (chunk: Buffer) => hash.update(chunk))
  try {
    await pipeline(answer, counted, createWriteStream(part))
    if (hash.digest('hex') !== sha256)
      throw new CliFailure(`${fullPath} arrived as other bytes: try again`, EXIT.failed)
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}
