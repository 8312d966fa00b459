import { join, resolve } from 'node:path'
import { AppError, invalid } from '../core/errors.ts'
import type { DatabaseConfig } from '../metadata/open-database.ts'
import { type ConfigFile, readConfigFile } from './config-file.ts'
import { CONFIG_VARIABLE, ENV_PREFIX, isOtherVariable, NAMED_SETTINGS, type NamedSetting } from './config-names.ts'
import type { SettingKey, Values } from './config-settings.ts'
import { BadValue } from './config-values.ts'

type Group<P extends string> = {
  readonly [K in SettingKey as K extends `${P}.${infer Name}` ? Name : never]: Values[K]
}
type Plain = { readonly [K in SettingKey as K extends `${string}.${string}` ? never : K]: Values[K] }

/** All settings, checked; docs/configuration.md explains each. Directories are absolute. */
export interface Config extends Omit<Plain, 'database' | 'blobs'> {
  readonly database: DatabaseConfig
  readonly blobs: string
  readonly cluster: Group<'cluster'>
  readonly security: Group<'security'>
  readonly proxy: Group<'proxy'>
  readonly projects: Group<'projects'>
  readonly auth: Group<'auth'>
  readonly audit: Group<'audit'>
  readonly metrics: Group<'metrics'>
  readonly backup: Group<'backup'>
  readonly replication: Group<'replication'>
  readonly edge: Group<'edge'>
  readonly webhooks: Group<'webhooks'>
  readonly gc: Group<'gc'>
  readonly images: Group<'images'>
  readonly scrub: Group<'scrub'>
  readonly search: Group<'search'>
  readonly nodes: Group<'nodes'>
}

export interface ConfigSources {
  /** After the program's name, e.g. `['--port', '8041']`. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}
export type Invocation =
  | { readonly kind: 'serve'; readonly config: Config; readonly file: string | undefined }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }

/** Where a value came from, for refusals, and the value. */
interface Given {
  readonly source: string
  readonly value: unknown
}

const SQLITE_FILE = 'entrepot.db'
const BACKUPS_FOLDER = 'backups'

/** @throws AppError PARAMETER_INVALID naming every unknown key and bad value at once, one a line. */
export async function readInvocation({ args, env, cwd }: ConfigSources): Promise<Invocation> {
  const flags = parseFlags(args)
  if (flags.has('help')) return { kind: 'help' }
  if (flags.has('version')) return { kind: 'version' }
  const file = await readConfigFile(
    cwd,
    (flags.get('config') as string | undefined) ?? (env[CONFIG_VARIABLE] || undefined),
  )
  const faults = [...unknownFlags(flags), ...unknownVariables(env), ...unknownKeys(file)]
  const values: Partial<Record<SettingKey, unknown>> = {}
  for (const setting of NAMED_SETTINGS) {
    const given = lookUp(setting, flags, env, file)
    try {
      values[setting.key] = given === undefined ? setting.fallback : setting.parse(given.value)
    } catch (error) {
      if (!(error instanceof BadValue)) throw error
      faults.push(`${setting.key} ${error.message} (${given?.source})`)
    }
    if (given?.source !== file?.path) faults.push(...overridden(setting, file))
  }
  if (faults.length > 0)
    throw new AppError('PARAMETER_INVALID', `The configuration is refused:\n  ${faults.join('\n  ')}`)
  return { kind: 'serve', config: toConfig(values as Values, cwd), file: file?.path }
}

const WITHOUT_VALUE: ReadonlySet<string> = new Set(['help', 'version'])

/** `--name value`, `--name=value`; a flag of a yes-or-no setting may stand alone. By name without dashes. */
function parseFlags(args: readonly string[]): Map<string, unknown> {
  const flags = new Map<string, unknown>()
  const rest = args[0] === 'serve' ? args.slice(1) : [...args]
  for (let at = 0; at < rest.length; at++) {
    if (rest[at] === '-h') rest[at] = '--help'
    const [, name, , inline] = /^--([^=]+)(=(.*))?$/s.exec(rest[at]!) ?? []
    if (name === undefined) throw invalid('arguments', `"${rest[at]}" is no option; see --help`)
    if (flags.has(name)) throw invalid(`--${name}`, 'it is given twice')
    const alone =
      WITHOUT_VALUE.has(name) || typeof NAMED_SETTINGS.find(({ flag }) => flag === name)?.fallback === 'boolean'
    if (inline !== undefined) flags.set(name, inline)
    else if (alone && !/^(true|false)$/.test(rest[at + 1] ?? '')) flags.set(name, true)
    else if (rest[at + 1] === undefined) throw invalid(`--${name}`, 'its value is missing')
    else flags.set(name, rest[++at])
  }
  return flags
}

/** A bad value of the file is refused also where a flag or the environment outdoes it: it would bite later. */
function overridden({ key, parse }: NamedSetting, file: ConfigFile | undefined): string[] {
  if (file === undefined || !file.values.has(key)) return []
  try {
    parse(file.values.get(key))
    return []
  } catch (error) {
    if (!(error instanceof BadValue)) throw error
    return [`${key} ${error.message} (${file.path})`]
  }
}

function lookUp(
  setting: NamedSetting,
  flags: ReadonlyMap<string, unknown>,
  env: ConfigSources['env'],
  file: ConfigFile | undefined,
): Given | undefined {
  const { key, flag, env: variable } = setting
  if (flag !== undefined && flags.has(flag)) return { source: `--${flag}`, value: flags.get(flag) }
  if (env[variable]) return { source: variable, value: env[variable] }
  return file?.values.has(key) ? { source: file.path, value: file.values.get(key) } : undefined
}

function unknownFlags(flags: ReadonlyMap<string, unknown>): string[] {
  const known = new Set(['config', ...NAMED_SETTINGS.map(({ flag }) => flag)])
  return [...flags.keys()].filter((name) => !known.has(name)).map((name) => `--${name} is no option; see --help`)
}

/** A misspelled variable would be a setting that silently is not set. */
function unknownVariables(env: ConfigSources['env']): string[] {
  const known = new Set(NAMED_SETTINGS.map((setting) => setting.env))
  const ours = Object.keys(env).filter((name) => name.startsWith(ENV_PREFIX) && !isOtherVariable(name))
  return ours.filter((name) => !known.has(name)).map((name) => `${name} is no setting; see --help`)
}

function unknownKeys(file: ConfigFile | undefined): string[] {
  const known: ReadonlySet<string> = new Set(NAMED_SETTINGS.map(({ key }) => key))
  const keys = [...(file?.values.keys() ?? [])]
  return keys.filter((key) => !known.has(key)).map((key) => `${key} is no setting (${file?.path})`)
}

function toConfig(values: Values, cwd: string): Config {
  const nested: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(values)) {
    const [group, name] = key.split('.') as [string, string?]
    if (name === undefined) nested[key] = value
    else nested[group] = { ...(nested[group] as object), [name]: value }
  }
  const data = resolve(cwd, values.data)
  const database: DatabaseConfig =
    values.database === 'sqlite'
      ? { dialect: 'sqlite', file: join(data, SQLITE_FILE) }
      : { dialect: 'postgres', url: values.database }
  const blobs = values.blobs === undefined ? join(data, 'blobs') : resolve(cwd, values.blobs)
  const config = nested as unknown as Config
  return { ...config, data, database, blobs, backup: absolute(config.backup, data, cwd) }
}

function absolute({ allowedRoots, locationMap, passphraseFile, ...rest }: Config['backup'], data: string, cwd: string) {
  const roots = allowedRoots.length === 0 ? [join(data, BACKUPS_FOLDER)] : allowedRoots
  return {
    ...rest,
    allowedRoots: roots.map((root) => resolve(cwd, root)),
    locationMap: locationMap.map(({ from, to }) => ({ from, to: resolve(cwd, to) })),
    passphraseFile: passphraseFile === undefined ? undefined : resolve(cwd, passphraseFile),
  }
}
