import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { messageOf } from '../../core/errors.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { type DistributionOptions, distributionBody } from '../distribution-body.ts'
import { repositoryName } from '../remote-path.ts'
import { type RecordInfo, recordLines, refuseFailed, watchRecord } from '../run-progress.ts'
import type { ServerApi } from '../server-api.ts'
import { fields, type Terminal, table } from '../terminal.ts'
import { wholeNumber } from '../whole-number.ts'

interface DistributionInfo {
  readonly name: string
  readonly registry: string | null
  readonly clusterName: string | null
  readonly remoteProjectId: string | null
  readonly remoteRepoName: string | null
  readonly replicaType: string
  readonly enable: boolean
}
interface AddOptions extends DistributionOptions {
  readonly login?: string
  readonly passwordStdin?: boolean
  readonly certificate?: string
}

const PATH = '/replication/api/remote/distribution'
const several = (value: string, all: readonly string[]): string[] => [...all, value]
const placeOf = (repository: string): string => {
  const { project, repo } = repositoryName(repository)
  return `${encodeURIComponent(project)}/${encodeURIComponent(repo)}`
}

/** Repositories that are sent to other clusters and to registries by whoever may write them. */
export function distributionCommands(program: Command, { clock, signal, ...context }: CommandContext): void {
  const distribution = program
    .command('distribution')
    .description('repositories that go to registries and clusters, named by repository and name')

  distribution
    .command('add <repository> <name>')
    .description('make a distribution, or change the one of that name; connects to the target first')
    .requiredOption('--to <address>', 'a registry, e.g. registry.example:5000/team, or cluster:NAME:project/repository')
    .option('--login <user>', 'user over there; the password is asked for')
    .option('--password-stdin', 'read the password of that user from standard input')
    .option('--certificate <file>', 'PEM of who signed its certificate')
    .option('--once <package:version,…>', 'only these, and only when it is run')
    .option('--as <tag>', 'what the version of --once is called over there; may be said again', several, [])
    .option('--package <key[@version,…]>', 'only this package, e.g. docker://nginx@1.1; may be said again', several, [])
    .option('--path <path>', 'only this file or folder, to a cluster; may be said again', several, [])
    .option('--cron <expression>', 'at these times, in place of at once whenever something is published')
    .option('--backfill', 'also what is there already')
    .option('--conflict <strategy>', 'SKIP (default), OVERWRITE or FAST_FAIL')
    .option('--error <strategy>', 'CONTINUE (default) or FAST_FAIL')
    .option('--rate <bytes>', 'at most so many bytes a second', wholeNumber)
    .option('--description <text>')
    .option('--off', 'make it switched off')
    .option('--no-ping', 'without connecting')
    .action(async (repository: string, name: string, options: AddOptions, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const { kind, body } = distributionBody(name, options, await loginOf(options, terminal))
      const call = kind === 'config' ? 'create' : 'create/runOnceTask'
      await server.call('POST', `${PATH}/${call}/${placeOf(repository)}`, body)
      const made = await find(server, repository, name)
      terminal.show(made, () => [`${repository} goes to ${targetText(made)} as ${name}`])
    })

  distribution
    .command('list <repository>')
    .description('distributions of a repository')
    .action(async (repository: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const found = await server.call<DistributionInfo[]>('GET', `${PATH}/info/${placeOf(repository)}`)
      context.terminal(command).show(found, (all) =>
        table(
          ['distribution', 'type', 'to', 'on'],
          all.map((one) => [one.name, one.replicaType, targetText(one), one.enable ? 'yes' : 'no']),
        ),
      )
    })

  distribution
    .command('show <repository> <name>')
    .description('everything about a distribution')
    .action(async (repository: string, name: string, _options: object, command: Command) => {
      const found = await find(await context.server(command), repository, name)
      context.terminal(command).show(found, () => fields({ ...found }))
    })

  distribution
    .command('run <repository> <name>')
    .description('start a run and show how far it is; ends with 1 when it is FAILED')
    .option('--no-wait', 'only start it')
    .action(async (repository: string, name: string, { wait }: { wait: boolean }, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      await server.call('POST', `${PATH}/run/${placeOf(repository)}/${encodeURIComponent(name)}`)
      const read = () => newest(server, repository, name)
      const started = await read()
      if (!wait) return terminal.show(started, ({ id }) => [`Run ${id} has begun`])
      terminal.note(`Run ${started.id} has begun`)
      const again = `entrepot distribution status ${repository} ${name}`
      const ended = await watchRecord(read, again, terminal, clock, signal)
      terminal.show(ended, recordLines)
      refuseFailed(ended)
    })

  distribution
    .command('status <repository> <name>')
    .description('its newest run; ends with 1 when that is FAILED')
    .action(async (repository: string, name: string, _options: object, command: Command) => {
      const record = await newest(await context.server(command), repository, name)
      context.terminal(command).show(record, recordLines)
      refuseFailed(record)
    })

  distribution
    .command('push <repository> <name> <package> <version>')
    .description('have one version looked at again, and pushed when the target lacks it')
    .action(
      async (repository: string, name: string, packageName: string, version: string, _: object, command: Command) => {
        const server = await context.server(command)
        const query = new URLSearchParams({ packageName, version })
        await server.call('POST', `${PATH}/push/${placeOf(repository)}/${encodeURIComponent(name)}?${query}`)
        context.terminal(command).show({ packageName, version }, () => [`${packageName}:${version} is on its way`])
      },
    )

  distribution
    .command('toggle <repository> <name>')
    .description('switch a distribution on or off')
    .action(async (repository: string, name: string, _options: object, command: Command) => {
      const server = await context.server(command)
      await server.call('POST', `${PATH}/toggle/status/${placeOf(repository)}/${encodeURIComponent(name)}`)
      const now = await find(server, repository, name)
      context.terminal(command).show(now, ({ enable }) => [`Distribution ${name} is ${enable ? 'on' : 'off'}`])
    })

  distribution
    .command('delete <repository> <name>')
    .description('delete a distribution with its records; what it brought stays')
    .action(async (repository: string, name: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const { replicaType } = await find(server, repository, name)
      const place = placeOf(repository)
      await (replicaType === 'RUN_ONCE'
        ? server.call('DELETE', `${PATH}/delete/runOnceTask/${place}?name=${encodeURIComponent(name)}`)
        : server.call('DELETE', `${PATH}/delete/${place}/${encodeURIComponent(name)}`))
      context.terminal(command).show({ name }, () => [`Deleted distribution ${name}`])
    })
}

async function loginOf({ login, passwordStdin, certificate, to }: AddOptions, terminal: Terminal) {
  if (login === undefined && passwordStdin === true) {
    throw new CliFailure('Whose password? Say --login USER', EXIT.usage)
  }
  const ask = () =>
    passwordStdin === true ? terminal.readInput() : terminal.askSecret(`Password of ${login} at ${to}: `)
  return {
    ...(login === undefined ? {} : { username: login, password: await ask() }),
    ...(certificate === undefined ? {} : { certificate: await contentOf(certificate) }),
  }
}

async function find(server: ServerApi, repository: string, name: string): Promise<DistributionInfo> {
  const path = `${PATH}/info/${placeOf(repository)}/${encodeURIComponent(name)}`
  const [found] = await server.call<DistributionInfo[]>('GET', path)
  if (found === undefined) throw new CliFailure(`${repository} has no distribution ${name}`, EXIT.notFound)
  return found
}

async function newest(server: ServerApi, repository: string, name: string): Promise<RecordInfo> {
  const path = `${PATH}/get/runOnceTaskStatus/${placeOf(repository)}?name=${encodeURIComponent(name)}`
  const record = await server.call<RecordInfo | null>('GET', path)
  if (record === null) throw new CliFailure(`Distribution ${name} has not run yet`, EXIT.failed)
  return record
}

/** As `--to` takes it. */
const targetText = ({ registry, clusterName, remoteProjectId, remoteRepoName }: DistributionInfo): string =>
  registry ?? `cluster:${clusterName}:${remoteProjectId}/${remoteRepoName}`

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new CliFailure(`Cannot read ${file}: ${messageOf(error)}`, EXIT.usage)
  }
}
