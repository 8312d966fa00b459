import type { Command } from 'commander'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import type { ServerApi } from '../server-api.ts'
import { table } from '../terminal.ts'

interface TokenInfo {
  readonly name: string
  readonly createdAt: string
  readonly expiredAt: string | null
}
interface TokenOptions {
  readonly of?: string
  readonly expires?: string
}

/** Tokens that stand for a user's password. */
export function tokenCommands(program: Command, context: CommandContext): void {
  const token = program.command('token').description('tokens that stand for a password')
  const ofWhom = (command: Command) => command.option('--of <user>', 'of somebody else; for administrators')

  ofWhom(
    token.command('list').description('names and dates; the tokens themselves are shown once, when they are made'),
  ).action(async ({ of }: TokenOptions, command: Command) => {
    const server = await context.server(command)
    const path = `/auth/api/user/list/token/${encodeURIComponent(owner(server, of))}`
    context.terminal(command).show(await server.call<TokenInfo[]>('GET', path), (tokens) =>
      table(
        ['token', 'created', 'expires'],
        tokens.map(({ name, createdAt, expiredAt }) => [name, createdAt, expiredAt ?? 'never']),
      ),
    )
  })

  ofWhom(token.command('create <name>').description('make a token; it is shown this once'))
    .option('--expires <date>', 'when it ends, e.g. 2030-01-31T00:00:00; never when left out')
    .action(async (name: string, { of, expires }: TokenOptions, command: Command) => {
      const server = await context.server(command)
      const query = expires === undefined ? '' : `?expiredAt=${encodeURIComponent(expires)}`
      const path = `/auth/api/user/token/${encodeURIComponent(owner(server, of))}/${encodeURIComponent(name)}${query}`
      const made = await server.call<TokenInfo & { id: string }>('POST', path)
      context.terminal(command).show(made, ({ id }) => [id])
    })

  ofWhom(token.command('delete <name>').description('end a token at once')).action(
    async (name: string, { of }: TokenOptions, command: Command) => {
      const server = await context.server(command)
      const path = `/auth/api/user/token/${encodeURIComponent(owner(server, of))}/${encodeURIComponent(name)}`
      await server.call('DELETE', path)
      context.terminal(command).show({ name }, () => [`Deleted token ${name}`])
    },
  )
}

function owner({ user }: ServerApi, of: string | undefined): string {
  const found = of ?? user
  if (found === undefined) throw new CliFailure('Whose token? Log in, or say --of USER', EXIT.usage)
  return found
}
