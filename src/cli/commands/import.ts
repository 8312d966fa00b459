import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { messageOf } from '../../core/errors.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { imageReference, importNameOf } from '../image-reference.ts'
import { repositoryName } from '../remote-path.ts'
import { type RecordInfo, recordLines, refuseFailed, watchRecord } from '../run-progress.ts'
import type { Terminal } from '../terminal.ts'
import { wholeNumber } from '../whole-number.ts'

interface ImportOptions {
  readonly login?: string
  readonly passwordStdin?: boolean
  readonly certificate?: string
  readonly name?: string
  readonly rate?: number
  readonly wait: boolean
}

const PATH = '/replication/api/remote/import'

/** Images of other registries come to a repository, to stay. */
export function importCommand(program: Command, { clock, signal, ...context }: CommandContext): void {
  program
    .command('import <image> <repository>')
    .description(
      'bring oci://registry/image[:tag] to a repository, all tags without one; ends with 1 when it is FAILED',
    )
    .option('--login <user>', 'user over there; the password is asked for')
    .option('--password-stdin', 'read the password of that user from standard input')
    .option('--certificate <file>', 'PEM of who signed its certificate')
    .option('--name <name>', 'what the import is called; else after the image')
    .option('--rate <bytes>', 'at most so many bytes a second', wholeNumber)
    .option('--no-wait', 'only start it')
    .action(async (image: string, repository: string, options: ImportOptions, command: Command) => {
      const reference = imageReference(image)
      const { project, repo } = repositoryName(repository)
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const name = options.name ?? importNameOf(reference)
      const place = `${encodeURIComponent(project)}/${encodeURIComponent(repo)}`
      const query = `?name=${encodeURIComponent(name)}`
      await server.call('POST', `${PATH}/create/${place}`, {
        ...{ name, registry: reference.registry },
        ...(reference.image === undefined ? {} : { packageName: reference.image }),
        ...(reference.version === undefined ? {} : { versions: [reference.version] }),
        ...(options.rate === undefined ? {} : { setting: { rateLimit: options.rate } }),
        ...(await loginOf(options, reference.registry, terminal)),
      })
      await server.call('POST', `${PATH}/execute/${place}${query}`)
      const read = async (): Promise<RecordInfo> => {
        const record = await server.call<RecordInfo | null>('GET', `${PATH}/status/${place}${query}`)
        if (record === null) throw new CliFailure(`Import ${name} has not run yet`, EXIT.failed)
        return record
      }
      const started = await read()
      if (!options.wait) return terminal.show(started, ({ id }) => [`Import ${name}: run ${id} has begun`])
      terminal.note(`Import ${name}: run ${started.id} has begun`)
      const ended = await watchRecord(read, `entrepot import ${image} ${repository}`, terminal, clock, signal)
      terminal.show(ended, recordLines)
      refuseFailed(ended)
    })
}

async function loginOf({ login, passwordStdin, certificate }: ImportOptions, registry: string, terminal: Terminal) {
  if (login === undefined && passwordStdin === true)
    throw new CliFailure('Whose password? Say --login USER', EXIT.usage)
  const ask = () =>
    passwordStdin === true ? terminal.readInput() : terminal.askSecret(`Password of ${login} at ${registry}: `)
  return {
    ...(login === undefined ? {} : { username: login, password: await ask() }),
    ...(certificate === undefined ? {} : { certificate: await contentOf(certificate) }),
  }
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new CliFailure(`Cannot read ${file}: ${messageOf(error)}`, EXIT.usage)
  }
}
