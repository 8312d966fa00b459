import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { fields, table } from '../terminal.ts'

interface Status {
  readonly centreUrl: string
  readonly name: string
  readonly lastReportTime: string | null
  readonly lastPullTime: string | null
  readonly errorReason: string | null
  readonly tunnels: { readonly open: number; readonly waiting: number }
}
interface Pulled {
  readonly key: string
  readonly name: string
  readonly state: string
  readonly recordId: string | null
}

const PATH = '/replication/api/edge'

/** `entrepot edge status` and `edge pull`, of a server that is an edge. */
export function edgeCommands(program: Command, context: CommandContext): void {
  const edge = program.command('edge').description('this server as an edge of its centre')

  edge
    .command('status')
    .description('when the centre last heard of this edge, and what is wrong')
    .action(async (_options: unknown, command: Command) => {
      const server = await context.server(command)
      const status = await server.call<Status>('GET', `${PATH}/status`)
      const { tunnels, ...rest } = status
      context
        .terminal(command)
        .show(status, () => fields({ ...rest, connections: `${tunnels.open}, ${tunnels.waiting} of them free` }))
    })

  edge
    .command('pull')
    .description('pull what waits at the centre now, in place of at the next look')
    .argument('[key]', 'of one task, which is pulled even after it failed too often')
    .action(async (key: string | undefined, _options: unknown, command: Command) => {
      const server = await context.server(command)
      const query = key === undefined ? '' : `?key=${encodeURIComponent(key)}`
      const pulled = await server.call<Pulled[]>('POST', `${PATH}/pull${query}`)
      const rows = pulled.map((task) => [task.name, task.key, task.state.toLowerCase(), task.recordId ?? ''])
      context
        .terminal(command)
        .show(pulled, () => (rows.length === 0 ? ['Nothing waits'] : table(['task', 'key', 'state', 'record'], rows)))
    })
}
