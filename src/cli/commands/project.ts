import type { Command } from 'commander'
import type { CommandContext } from '../command-context.ts'
import { table } from '../terminal.ts'

interface ProjectInfo {
  readonly name: string
  readonly displayName: string
  readonly description: string
}
interface ProjectOptions {
  readonly displayName?: string
  readonly description?: string
}

const PATH = '/repository/api/project'

/** Projects hold repositories. */
export function projectCommands(program: Command, context: CommandContext): void {
  const project = program.command('project').description('projects, which hold repositories')
  project
    .command('list')
    .description('projects that you may see')
    .action(async (_options: object, command: Command) => {
      const server = await context.server(command)
      context.terminal(command).show(await server.call<ProjectInfo[]>('GET', `${PATH}/list`), (projects) =>
        table(
          ['project', 'name', 'description'],
          projects.map(({ name, displayName, description }) => [name, displayName, description]),
        ),
      )
    })
  const describe = (command: Command) =>
    command.option('--display-name <name>', 'name for people').option('--description <text>')

  describe(project.command('create <name>').description('make a project')).action(
    async (name: string, { displayName, description }: ProjectOptions, command: Command) => {
      const server = await context.server(command)
      await server.call('POST', `${PATH}/create`, {
        name,
        displayName: displayName ?? name,
        description: description ?? '',
      })
      context.terminal(command).show({ name }, () => [`Made project ${name}`])
    },
  )
  describe(project.command('update <name>').description('change a project; what is not named stays')).action(
    async (name: string, options: ProjectOptions, command: Command) => {
      const server = await context.server(command)
      await server.call('PUT', `${PATH}/${encodeURIComponent(name)}`, options)
      context.terminal(command).show({ name }, () => [`Changed project ${name}`])
    },
  )
}
