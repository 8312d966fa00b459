import { Command, CommanderError } from 'commander'
import { hasCode, messageOf } from '../core/errors.ts'
import { CliFailure, EXIT, type ExitCode } from './cli-failure.ts'
import { type CliGround, createCommandContext } from './command-context.ts'
import { backupCommands } from './commands/backup.ts'
import { clusterCommands } from './commands/cluster.ts'
import { distributionCommands } from './commands/distribution.ts'
import { downloadCommand } from './commands/download.ts'
import { edgeCommands } from './commands/edge.ts'
import { fingerprintCommands } from './commands/fingerprint.ts'
import { importCommand } from './commands/import.ts'
import { loginCommands } from './commands/login.ts'
import { lsCommand } from './commands/ls.ts'
import { projectCommands } from './commands/project.ts'
import { recordCommands } from './commands/record.ts'
import { repoCommands } from './commands/repo.ts'
import { searchCommand } from './commands/search.ts'
import { storageCommands } from './commands/storage.ts'
import { taskCommands } from './commands/task.ts'
import { tokenCommands } from './commands/token.ts'
import { uploadCommand } from './commands/upload.ts'
import { userCommands } from './commands/user.ts'

/** The command line but for `serve`, which is the server's own. @param args after the program's name. */
export async function runCommandLine(args: readonly string[], version: string, ground: CliGround): Promise<ExitCode> {
  const isJson = args.includes('--json')
  const tell = (failure: object) => ground.err.write(`${JSON.stringify(failure)}\n`)
  const program = createProgram(version, ground, isJson ? 'json' : 'people')
  try {
    await program.parseAsync([...args], { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok
      if (isJson) tell({ error: error.message.replace(/^error: /, ''), code: null })
      return EXIT.usage
    }
    if (ground.signal.aborted) return EXIT.failed
    const { exitCode, code, shown } = described(error)
    if (isJson) tell({ error: shown, code: code ?? null })
    else ground.err.write(`entrepot: ${shown}\n`)
    return exitCode
  }
}

function createProgram(version: string, ground: CliGround, format: 'json' | 'people'): Command {
  const context = createCommandContext(ground)
  const program = new Command('entrepot')
    .description('An artifact repository whose heart is moving artifacts')
    .version(version)
    .option('--url <url>', 'server, instead of the profile’s (ENTREPOT_URL)')
    .option('-u, --user <id>', 'user (ENTREPOT_USER); the secret comes from ENTREPOT_TOKEN or ENTREPOT_PASSWORD')
    .option('--profile <name>', 'remembered server to use (ENTREPOT_PROFILE)')
    .option('--json', 'results as JSON, for programs')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void ground.out.write(text),
      // As JSON it is told by `runCommandLine`.
      writeErr: (text) => void (format === 'people' && ground.err.write(text)),
    })
    .showHelpAfterError('(see entrepot --help)')
  program
    .command('serve')
    .description('start the server; "entrepot serve --help" lists its settings')
    .helpOption(false)
    .allowUnknownOption()
  loginCommands(program, context)
  userCommands(program, context)
  tokenCommands(program, context)
  projectCommands(program, context)
  repoCommands(program, context)
  uploadCommand(program, context)
  downloadCommand(program, context)
  lsCommand(program, context)
  searchCommand(program, context)
  storageCommands(program, context)
  fingerprintCommands(program, context)
  edgeCommands(program, context)
  clusterCommands(program, context)
  taskCommands(program, context)
  recordCommands(program, context)
  distributionCommands(program, context)
  importCommand(program, context)
  backupCommands(program, context)
  return inheriting(program)
}

/** Subcommands take exit and output rules from their parent only when they are made by it later: said again for all. */
function inheriting(command: Command): Command {
  for (const inner of command.commands) inheriting(inner.copyInheritedSettings(command))
  return command
}

function described(error: unknown): { exitCode: ExitCode; code?: number | undefined; shown: string } {
  if (error instanceof CliFailure) return { exitCode: error.exitCode, code: error.code, shown: error.message }
  if (hasCode(error, 'PATH_INVALID')) return { exitCode: EXIT.usage, shown: error.message }
  return { exitCode: EXIT.failed, shown: messageOf(error) }
}
