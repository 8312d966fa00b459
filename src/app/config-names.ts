import { SETTINGS, type Setting, type SettingKey } from './config-settings.ts'

export const ENV_PREFIX = 'ENTREPOT_'
/** Of the command line, which may be set in the shell that starts a server. */
const COMMAND_LINE: ReadonlySet<string> = new Set(
  ['URL', 'USER', 'PASSWORD', 'TOKEN', 'PROFILE'].map((name) => ENV_PREFIX + name),
)
/** Variables with our prefix that are no settings: those of tests and of the command line, and where the file is. */
export const isOtherVariable = (name: string): boolean =>
  name === CONFIG_VARIABLE ||
  COMMAND_LINE.has(name) ||
  name === 'ENTREPOT_REQUIRE_ALL' ||
  name.startsWith('ENTREPOT_TEST_')
export const CONFIG_VARIABLE = 'ENTREPOT_CONFIG'

export interface NamedSetting extends Omit<Setting<unknown>, 'env' | 'flag'> {
  readonly key: SettingKey
  /** E.g. `ENTREPOT_REPLICATION_LINK_TIMEOUT_MS`. */
  readonly env: string
  /** E.g. `replication-link-timeout-ms`, without the dashes. Undefined: it is a secret. */
  readonly flag: string | undefined
}

/** All settings with their three names, in the order of the table. */
export const NAMED_SETTINGS: readonly NamedSetting[] = Object.entries<Setting<unknown>>(SETTINGS).map(
  ([key, setting]) => {
    const words = key.replaceAll('.', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    return {
      ...setting,
      key: key as SettingKey,
      env: setting.env ?? ENV_PREFIX + words.replaceAll('-', '_').toUpperCase(),
      flag: setting.secret === true ? undefined : (setting.flag ?? words),
    }
  },
)

/** What a value is when nobody sets it, for people. */
export function shownDefault({ shown, fallback }: Pick<NamedSetting, 'shown' | 'fallback'>): string {
  if (shown !== undefined) return shown
  if (Array.isArray(fallback)) return fallback.length === 0 ? 'none' : fallback.join(',')
  return String(fallback)
}
