import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { messageOf } from '../../core/errors.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import type { ServerApi } from '../server-api.ts'
import { table } from '../terminal.ts'

interface ClusterInfo {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly url: string
  readonly status: string
  readonly errorReason: string | null
}
interface ClusterOptions {
  readonly type: string
  readonly login?: string
  readonly passwordStdin?: boolean
  readonly certificate?: string
  readonly reports?: string
  readonly ping: boolean
}

const PATH = '/replication/api/cluster'

/** Other clusters, which tasks send to. */
export function clusterCommands(program: Command, context: CommandContext): void {
  const cluster = program.command('cluster').description('other clusters, which replication sends to')

  cluster
    .command('add <name> <url>')
    .description('register another cluster; connects to it first')
    .option('--type <type>', 'STANDALONE, EDGE or CENTER', 'STANDALONE')
    .option('--login <user>', 'user over there; the password is asked for')
    .option('--password-stdin', 'read the password of that user from standard input')
    .option('--certificate <file>', 'PEM of who signed its certificate')
    .option('--reports <user>', 'an EDGE that cannot be connected to, and comes as that user of this server')
    .option('--no-ping', 'register it without connecting')
    .action(async (name: string, url: string, options: ClusterOptions, command: Command) => {
      const { type, login, passwordStdin, certificate, reports, ping } = options
      const server = await context.server(command)
      const terminal = context.terminal(command)
      if (login === undefined && passwordStdin === true) {
        throw new CliFailure('Whose password? Say --login USER', EXIT.usage)
      }
      const ask = () =>
        passwordStdin === true ? terminal.readInput() : terminal.askSecret(`Password of ${login} at ${name}: `)
      await server.call('POST', `${PATH}/create`, {
        ...{ name, url, ping, type: reports === undefined ? type.toUpperCase() : 'EDGE' },
        ...(reports === undefined ? {} : { detectType: 'REPORT', username: reports }),
        ...(login === undefined ? {} : { username: login, password: await ask() }),
        ...(certificate === undefined ? {} : { certificate: await contentOf(certificate) }),
      })
      terminal.show(await findCluster(server, name), () => [`Registered cluster ${name}`])
    })

  cluster
    .command('list')
    .description('the clusters that are registered')
    .option('--type <type>', 'only STANDALONE, EDGE, CENTER or REMOTE')
    .action(async ({ type }: { type?: string }, command: Command) => {
      const server = await context.server(command)
      const query = type === undefined ? '' : `?type=${encodeURIComponent(type.toUpperCase())}`
      context.terminal(command).show(await server.call<ClusterInfo[]>('GET', `${PATH}/list${query}`), (all) =>
        table(
          ['cluster', 'type', 'status', 'url', 'why'],
          all.map((one) => [one.name, one.type, one.status, one.url, one.errorReason ?? '']),
        ),
      )
    })

  cluster
    .command('test <name>')
    .description('try to reach a cluster; ends with 1 when it cannot be reached')
    .action(async (name: string, _options: object, command: Command) => {
      const server = await context.server(command)
      await server.call('POST', `${PATH}/tryConnect?name=${encodeURIComponent(name)}`)
      context.terminal(command).show({ name, status: 'HEALTHY' }, () => [`Cluster ${name} answers`])
    })

  cluster
    .command('delete <name>')
    .description('forget a cluster; refused while a task that is on sends to it')
    .action(async (name: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const { id } = await findCluster(server, name)
      await server.call('DELETE', `${PATH}/delete/${encodeURIComponent(id)}`)
      context.terminal(command).show({ name }, () => [`Deleted cluster ${name}`])
    })
}

async function findCluster(server: ServerApi, name: string): Promise<ClusterInfo> {
  const found = await server.call<ClusterInfo | null>('GET', `${PATH}/info?name=${encodeURIComponent(name)}`)
  if (found === null) throw new CliFailure(`There is no cluster "${name}"`, EXIT.notFound)
  return found
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new CliFailure(`Cannot read ${file}: ${messageOf(error)}`, EXIT.usage)
  }
}
