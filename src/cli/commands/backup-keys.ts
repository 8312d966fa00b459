import type { Command } from 'commander'
import { BACKUPS } from '../backup-names.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { table } from '../terminal.ts'

interface KeyInfo {
  readonly id: string
  readonly createdDate: string | null
  readonly label: string | null
}

const PATH = `${BACKUPS}/keys`
const FROM_INPUT = '--passphrase-stdin'

/** Passphrases of encrypted repositories. */
export function backupKeyCommands(backup: Command, context: CommandContext): void {
  const key = backup.command('key').description('passphrases that open the encrypted repository of a place')

  key
    .command('list <place>')
    .description('keys of the repository, oldest first; none shows its passphrase')
    .action(async (place: string, _options: object, command: Command) => {
      const server = await context.server(command)
      const keys = await server.call<KeyInfo[]>('GET', `${PATH}${at(place)}`)
      context.terminal(command).show(keys, () =>
        table(
          ['id', 'created', 'label'],
          keys.map(({ id, createdDate, label }) => [id, createdDate ?? 'damaged', label ?? '']),
        ),
      )
    })

  key
    .command('add <place>')
    .description('let another passphrase open the repository, too; it is asked for')
    .option(FROM_INPUT, 'read the passphrase from standard input')
    .option('--label <label>', 'what the key is called in lists; anybody who sees the place can read it')
    .action(async (place: string, options: { passphraseStdin?: true; label?: string }, command: Command) => {
      const server = await context.server(command)
      const passphrase = await newPassphrase(options.passphraseStdin, command)
      const body = { location: place, passphrase, ...(options.label !== undefined && { label: options.label }) }
      const id = await server.call<string>('POST', PATH, body)
      context.terminal(command).show({ id }, () => [`Added key ${id}: the passphrase opens the repository`])
    })

  key
    .command('remove <place> <id>')
    .description('the passphrase of a key no longer opens the repository')
    .action(async (place: string, id: string, _options: object, command: Command) => {
      const server = await context.server(command)
      await server.call('DELETE', `${PATH}/${encodeURIComponent(id)}${at(place)}`)
      context.terminal(command).show({ id }, () => [`Removed key ${id}`])
    })

  async function newPassphrase(fromInput: true | undefined, command: Command): Promise<string> {
    const terminal = context.terminal(command)
    if (fromInput) return terminal.readInput()
    const passphrase = await terminal.askSecret('New passphrase: ', FROM_INPUT)
    if ((await terminal.askSecret('Once more: ', FROM_INPUT)) === passphrase) return passphrase
    throw new CliFailure('The two passphrases differ', EXIT.usage)
  }
}

const at = (place: string): string => `?location=${encodeURIComponent(place)}`
