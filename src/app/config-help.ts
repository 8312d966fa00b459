import { NAMED_SETTINGS, shownDefault } from './config-names.ts'

const USAGE = `Usage: entrepot [serve] [options]

Starts the server. A flag wins over the environment, the environment over entrepot.yaml, that over the default.

Options:
  --config FILE  settings to read instead of ./entrepot.yaml (ENTREPOT_CONFIG)
  --help         this text
  --version      the version
`

/** What `--help` prints: made from the table of settings, so that it cannot lag behind. */
export function helpText(): string {
  const entries = NAMED_SETTINGS.map((setting) => {
    const names = setting.flag === undefined ? setting.env : `--${setting.flag}  (${setting.env})`
    return `  ${names}\n      ${setting.doc}\n      default: ${shownDefault(setting)}\n`
  })
  return `${USAGE}\n${entries.join('')}`
}
