import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { messageOf } from '../../core/errors.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { repositoryName } from '../remote-path.ts'
import { bytesText, fields, table } from '../terminal.ts'
import { wholeNumber } from '../whole-number.ts'

interface RepositoryInfo {
  readonly name: string
  readonly type: string
  readonly category: string
  readonly public: boolean
  readonly used: number | null
  readonly quota: number | null
}
interface RepositoryOptions {
  readonly type?: string
  readonly category?: string
  readonly public?: boolean
  readonly description?: string
  readonly quota?: number
  readonly configuration?: string
}

const PATH = '/repository/api/repo'
const urlOf = (call: string, { project, repo }: { project: string; repo: string }) =>
  `${PATH}/${call}/${encodeURIComponent(project)}/${encodeURIComponent(repo)}`

/** Repositories, named `project/repository`. */
export function repoCommands(program: Command, context: CommandContext): void {
  const repo = program.command('repo').description('repositories, named project/repository')

  repo
    .command('list <project>')
    .description('repositories of a project that you may see')
    .action(async (project: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const found = await server.call<RepositoryInfo[]>('GET', `${PATH}/list/${encodeURIComponent(project)}`)
      context.terminal(command).show(found, (all) =>
        table(
          ['repository', 'type', 'category', 'access', 'used', 'quota'],
          all.map((one) => [one.name, one.type, one.category, one.public ? 'public' : 'private', ...usageText(one)]),
        ),
      )
    })

  repo
    .command('info <repository>')
    .description('everything about a repository')
    .action(async (name: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const info = await server.call<object>('GET', urlOf('info', repositoryName(name)))
      context.terminal(command).show(info, (found) => fields({ ...found }))
    })

  const describe = (command: Command) =>
    command
      .option('--public', 'anybody may read')
      .option('--description <text>')
      .option('--configuration <file>', 'JSON of the configuration: proxies, members, settings')

  describe(repo.command('create <repository>').description('make a repository'))
    .option('--type <type>', 'of its packages', 'GENERIC')
    .option('--category <category>', 'LOCAL, REMOTE, VIRTUAL or COMPOSITE')
    .option('--quota <bytes>', 'room for this many bytes', wholeNumber)
    .action(async (name: string, options: RepositoryOptions, command: Command) => {
      const server = await context.server(command)
      const { project, repo: repository } = repositoryName(name)
      const { configuration, quota, type = 'GENERIC', ...rest } = options
      const body = { projectId: project, name: repository, type: type.toUpperCase(), ...rest }
      await server.call('POST', `${PATH}/create`, {
        ...body,
        ...(quota === undefined ? {} : { quota }),
        ...(await configurationOf(configuration)),
      })
      context.terminal(command).show({ project, name: repository }, () => [`Made repository ${name}`])
    })

  describe(repo.command('update <repository>').description('change a repository; what is not named stays'))
    .option('--no-public', 'only those with a permission may read')
    .action(async (name: string, { configuration, ...given }: RepositoryOptions, command: Command) => {
      const server = await context.server(command)
      const said = Object.entries(given).filter(([key]) => command.getOptionValueSource(key) !== 'default')
      const body = { ...Object.fromEntries(said), ...(await configurationOf(configuration)) }
      await server.call('POST', urlOf('update', repositoryName(name)), body)
      context.terminal(command).show({ name }, () => [`Changed repository ${name}`])
    })

  repo
    .command('quota <repository> [bytes]')
    .description('show or set how many bytes a repository may hold')
    .action(async (name: string, bytes: string | undefined, _options: object, command: Command) => {
      const server = await context.server(command)
      const path = urlOf('quota', repositoryName(name))
      if (bytes !== undefined) await server.call('POST', `${path}?quota=${encodeURIComponent(bytes)}`)
      context.terminal(command).show(await server.call<object>('GET', path), (found) => fields({ ...found }))
    })

  repo
    .command('delete <repository>')
    .description('delete a repository')
    .option('--force', 'with all that is in it')
    .action(async (name: string, { force }: { force?: boolean }, command: Command) => {
      const server = await context.server(command)
      await server.call('DELETE', `${urlOf('delete', repositoryName(name))}?forced=${force === true}`)
      context.terminal(command).show({ name }, () => [`Deleted repository ${name}`])
    })
}

async function configurationOf(file: string | undefined): Promise<{ configuration?: unknown }> {
  if (file === undefined) return {}
  try {
    return { configuration: JSON.parse(await readFile(file, 'utf8')) }
  } catch (error) {
    throw new CliFailure(`Cannot read ${file}: ${messageOf(error)}`, EXIT.usage)
  }
}

const usageText = ({ used, quota }: RepositoryInfo): string[] => [
  used === null ? '' : bytesText(used),
  quota === null ? '' : bytesText(quota),
]
