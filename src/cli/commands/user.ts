import { type Command, Option } from 'commander'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { fields, table } from '../terminal.ts'

interface UserInfo {
  readonly userId: string
  readonly name: string
  readonly admin: boolean
  readonly locked: boolean
  readonly email: string | null
}
interface UserFields {
  readonly name?: string
  readonly email?: string
  readonly phone?: string
  readonly admin?: boolean
  readonly locked?: boolean
  readonly passwordStdin?: boolean
}

const PATH = '/auth/api/user'

/** Users of the server. */
export function userCommands(program: Command, context: CommandContext): void {
  const user = program.command('user').description('users of the server')
  const describe = (command: Command) =>
    command
      .option('--name <name>', 'name for people')
      .option('--email <address>')
      .option('--phone <number>')
      .option('--password-stdin', 'read the password from standard input')

  user
    .command('list')
    .description('all users')
    .argument('[prefix]', 'only those whose id begins so')
    .action(async (prefix: string | undefined, _options: object, command: Command) => {
      const server = await context.server(command)
      const query = prefix === undefined ? '' : `?userId=${encodeURIComponent(prefix)}`
      context.terminal(command).show(await server.call<UserInfo[]>('GET', `${PATH}/list${query}`), (users) =>
        table(
          ['user', 'name', 'rights', 'email'],
          users.map(({ userId, name, admin, locked, email }) => [userId, name, rightsText(admin, locked), email ?? '']),
        ),
      )
    })

  user
    .command('show')
    .description('one user; yourself when nobody is named')
    .argument('[id]')
    .action(async (id: string | undefined, _options: object, command: Command) => {
      const server = await context.server(command)
      const path = id === undefined ? `${PATH}/info` : `${PATH}/detail/${encodeURIComponent(id)}`
      context.terminal(command).show(await server.call<object>('GET', path), (found) => fields({ ...found }))
    })

  describe(user.command('create <id>').description('make a user'))
    .option('--admin', 'may do everything')
    .action(async (id: string, { passwordStdin, name, ...rest }: UserFields, command: Command) => {
      const server = await context.server(command)
      const pwd = await newPassword(context, command, passwordStdin)
      await server.call('POST', `${PATH}/create`, { userId: id, name: name ?? id, pwd, ...rest })
      context.terminal(command).show({ userId: id }, () => [`Made user ${id}`])
    })

  describe(user.command('update <id>').description('change a user; what is not named stays'))
    .addOption(new Option('--admin', 'may do everything').conflicts('noAdmin'))
    .option('--no-admin', 'may do what permissions say')
    .option('--locked', 'may not log in')
    .option('--no-locked', 'may log in again')
    .action(async (id: string, { passwordStdin, ...given }: UserFields, command: Command) => {
      const server = await context.server(command)
      const password = passwordStdin === true ? { pwd: await newPassword(context, command, true) } : {}
      const change = { ...given, ...password }
      // `--no-x` gives a value to x also when neither is written.
      const said = Object.fromEntries(
        Object.entries(change).filter(([name]) => command.getOptionValueSource(name) !== 'default'),
      )
      await server.call('PUT', `${PATH}/update/info/${encodeURIComponent(id)}`, said)
      context.terminal(command).show({ userId: id }, () => [`Changed user ${id}`])
    })

  user
    .command('delete <id>')
    .description('delete a user with the tokens of it')
    .action(async (id: string, _options: object, command: Command) => {
      const server = await context.server(command)
      await server.call('DELETE', `${PATH}/delete/${encodeURIComponent(id)}`)
      context.terminal(command).show({ userId: id }, () => [`Deleted user ${id}`])
    })
}

async function newPassword(context: CommandContext, command: Command, fromInput: boolean | undefined): Promise<string> {
  const terminal = context.terminal(command)
  if (fromInput === true) return terminal.readInput()
  const password = await terminal.askSecret('New password: ')
  if ((await terminal.askSecret('Once more: ')) !== password) {
    throw new CliFailure('The two passwords differ', EXIT.usage)
  }
  return password
}

const rightsText = (admin: boolean, locked: boolean): string =>
  [admin ? 'admin' : '', locked ? 'locked' : ''].filter((word) => word !== '').join(', ')
