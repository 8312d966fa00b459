import { hostname } from 'node:os'
import type { Command } from 'commander'
import { CliFailure, EXIT } from '../cli-failure.ts'
import { type CommandContext, optionsOf, profileNamed, userNamed } from '../command-context.ts'
import { connectServer } from '../server-api.ts'
import { table } from '../terminal.ts'

const DEFAULT_PROFILE = 'default'

interface LoginOptions {
  readonly passwordStdin?: boolean
}

/** Who we are at which server, remembered between commands. */
export function loginCommands(program: Command, context: CommandContext): void {
  const { profiles, clock, env } = context
  program
    .command('login <url>')
    .description('log in to a server and remember it; makes a token, the password is not kept')
    .option('--password-stdin', 'read the password from standard input')
    .action(async (url: string, { passwordStdin }: LoginOptions, command: Command) => {
      const terminal = context.terminal(command)
      const user = userNamed(optionsOf(command), env) ?? 'admin'
      const profile = profileNamed(optionsOf(command), env) ?? DEFAULT_PROFILE
      const password =
        passwordStdin === true
          ? await terminal.readInput()
          : env.ENTREPOT_PASSWORD || (await terminal.askSecret(`Password of ${user} at ${url}: `))
      const server = connectServer({ url, user, secret: password }, context.signal)
      const name = `cli-${hostname()}-${clock.now().toString(36)}`.replaceAll(/[^A-Za-z0-9_-]/g, '-')
      const tokenPath = `/auth/api/user/token/${encodeURIComponent(user)}/${name}`
      const { id: token } = await server.call<{ id: string }>('POST', tokenPath)
      await profiles.save(profile, { url, user, token })
      terminal.show({ profile, url, user }, () => [`Logged in to ${url} as ${user} (profile ${profile})`])
    })

  program
    .command('logout')
    .description('forget a server; its token stays valid until it is deleted ("entrepot token delete")')
    .action(async (_options: object, command: Command) => {
      const { current } = await profiles.read()
      const name = profileNamed(optionsOf(command), env) ?? current
      if (name === undefined) throw new CliFailure('Nobody is logged in', EXIT.usage)
      await profiles.remove(name)
      context.terminal(command).show({ profile: name }, () => [`Forgot profile ${name}`])
    })

  const profile = program.command('profile').description('servers that are remembered')
  profile
    .command('list')
    .description('all profiles; the one in use is marked')
    .action(async (_options: object, command: Command) => {
      const { current, profiles: known } = await profiles.read()
      const rows = Object.entries(known).map(([name, { url, user }]) => ({
        name,
        url,
        user,
        current: name === current,
      }))
      context.terminal(command).show(rows, (all) =>
        table(
          ['', 'profile', 'server', 'user'],
          all.map((row) => [row.current ? '*' : '', row.name, row.url, row.user]),
        ),
      )
    })
  profile
    .command('use <name>')
    .description('have commands use this profile')
    .action(async (name: string, _options: object, command: Command) => {
      await profiles.use(name)
      context.terminal(command).show({ profile: name }, () => [`Using profile ${name}`])
    })
}
