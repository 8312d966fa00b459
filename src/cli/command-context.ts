import type { Command } from 'commander'
import type { Clock } from '../core/clock.ts'
import type { Ids } from '../core/ids.ts'
import { CliFailure, EXIT } from './cli-failure.ts'
import { createProfiles, type Profiles, unknownProfile } from './profiles.ts'
import { type Connection, connectServer, type ServerApi } from './server-api.ts'
import { createTerminal, type Terminal, type TerminalStreams } from './terminal.ts'

/** What the outside gives the command line. */
export interface CliGround extends TerminalStreams {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
  readonly clock: Clock
  readonly ids: Pick<Ids, 'key'>
  /** Ctrl-C. */
  readonly signal: AbortSignal
}

/** Options that every command has. */
export interface GlobalOptions {
  readonly url?: string
  readonly user?: string
  readonly profile?: string
  readonly json?: boolean
}

/** What a command works with. Made when it runs: help needs no server. */
export interface CommandContext {
  readonly clock: Clock
  readonly ids: Pick<Ids, 'key'>
  readonly signal: AbortSignal
  readonly env: CliGround['env']
  readonly profiles: Profiles
  terminal(command: Command): Terminal
  /** @throws CliFailure when nobody said which server. */
  server(command: Command): Promise<ServerApi>
}

const DEFAULT_PROFILE = 'default'

export function createCommandContext(ground: CliGround): CommandContext {
  const profiles = createProfiles(ground.env, ground.home)
  return {
    ...{ clock: ground.clock, ids: ground.ids, signal: ground.signal, env: ground.env, profiles },
    terminal: (command) => createTerminal(ground, optionsOf(command).json === true ? 'json' : 'people'),
    async server(command) {
      return connectServer(await connectionOf(optionsOf(command), ground.env, profiles), ground.signal)
    },
  }
}

/** Options win over the environment, the environment over the profile. */
async function connectionOf(options: GlobalOptions, env: CliGround['env'], profiles: Profiles): Promise<Connection> {
  const { ENTREPOT_URL, ENTREPOT_PASSWORD, ENTREPOT_TOKEN } = env
  const file = await profiles.read()
  const named = profileNamed(options, env)
  if (named !== undefined && !Object.hasOwn(file.profiles, named)) throw unknownProfile(named)
  const profile = file.profiles[named ?? file.current ?? DEFAULT_PROFILE]
  const url = options.url ?? (ENTREPOT_URL || profile?.url)
  if (url === undefined) {
    throw new CliFailure('Which server? Log in by "entrepot login URL", or set ENTREPOT_URL', EXIT.usage)
  }
  const user = userNamed(options, env) ?? profile?.user
  const given = ENTREPOT_TOKEN || ENTREPOT_PASSWORD || undefined
  // The profile's secret belongs to its user and server, to nobody else's.
  const own =
    profile !== undefined && isSameServer(profile.url, url) && profile.user === user ? profile.token : undefined
  const secret = given ?? own
  if (user !== undefined && secret === undefined) {
    throw new CliFailure(`No secret is known for ${user} at ${url}: log in there, or set ENTREPOT_TOKEN`, EXIT.denied)
  }
  return { url, user, secret }
}

/** An empty variable is one that is not set. */
export const userNamed = (options: GlobalOptions, env: CliGround['env']): string | undefined =>
  options.user ?? (env.ENTREPOT_USER || undefined)
export const profileNamed = (options: GlobalOptions, env: CliGround['env']): string | undefined =>
  options.profile ?? (env.ENTREPOT_PROFILE || undefined)

function isSameServer(a: string, b: string): boolean {
  return URL.canParse(a) && URL.canParse(b) && new URL(a).href === new URL(b).href
}

export const optionsOf = (command: Command): GlobalOptions => command.optsWithGlobals<GlobalOptions>()
