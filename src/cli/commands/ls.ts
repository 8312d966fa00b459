import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { listNodes, type NodeInfo, nodeDetail } from '../node-listing.ts'
import { remotePath } from '../remote-path.ts'
import { bytesText, table } from '../terminal.ts'

/** `entrepot ls project/repository/path`. */
export function lsCommand(program: Command, context: CommandContext): void {
  program
    .command('ls <path>')
    .description('list what lies in a folder: project/repository/path')
    .option('-r, --recursive', 'also what lies in folders below it')
    .action(async (text: string, { recursive }: { recursive?: boolean }, command: Command) => {
      const server = await context.server(command)
      const at = remotePath(text)
      const node = await nodeDetail(server, at)
      const found: NodeInfo[] = []
      if (!node.folder) found.push(node)
      else for await (const entry of listNodes(server, at, recursive === true ? 'tree' : 'children')) found.push(entry)
      context.terminal(command).show(found, (nodes) =>
        table(
          ['modified', 'size', 'path'],
          nodes.map(({ fullPath, folder, size, lastModifiedDate }) => [
            lastModifiedDate,
            folder ? '' : bytesText(size),
            folder ? `${fullPath}/` : fullPath,
          ]),
        ),
      )
    })
}
