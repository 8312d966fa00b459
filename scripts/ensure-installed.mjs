// Runs before every npm script (`prestart`, `pretest`, …): installs what the lock file names when it is missing or out of date.
// Plain JavaScript for Node >= 18, because on a fresh clone the pinned Node of node_modules is not there yet.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = 18
/** What npm prints when it cannot reach the registry. */
const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ENOTCACHED|network/

const root = fileURLToPath(new URL('..', import.meta.url))
const installed = join(root, 'node_modules')
const previous = join(root, 'node_modules.previous')
/** `npm start` needs no development dependencies: an installation made with `--omit=dev` is complete for it. */
const runtimeOnly = process.argv.includes('--runtime-only')

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'))

/** True when npm's own note of what it installed agrees with the lock file. npm writes the note last, so a cut installation has none. */
function isComplete() {
  const note = join(installed, '.package-lock.json')
  const runtime = join(installed, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')
  if (!existsSync(note) || !existsSync(runtime)) return false
  const have = readJson(note).packages
  return Object.entries(readJson(join(root, 'package-lock.json')).packages).every(([path, wanted]) => {
    if (path === '') return true
    const found = have[path]
    if (found === undefined) return Boolean(wanted.optional) || (runtimeOnly && Boolean(wanted.dev))
    return found.version === wanted.version && found.integrity === wanted.integrity
  })
}

/** The host's own npm and Node: the ones inside node_modules are about to be replaced. */
function hostEnvironment() {
  const name = Object.keys(process.env).find((key) => key.toUpperCase() === 'PATH') ?? 'PATH'
  const folders = (process.env[name] ?? '').split(delimiter)
  return {
    ...process.env,
    [name]: folders.filter((folder) => !folder.includes(`node_modules${sep}.bin`)).join(delimiter),
  }
}

function refuse(lines) {
  process.stderr.write(`\n${lines.join('\n')}\n`)
  process.exit(1)
}

function explain(output) {
  const lines = output.trim().split('\n')
  if (!OFFLINE.test(output)) return ['Installing the dependencies failed:', '', ...lines.slice(-20)]
  return [
    'The package registry could not be reached. The first start needs the network once; later starts do not.',
    ...lines.filter((line) => line.startsWith('npm error')).slice(0, 4),
  ]
}

function install() {
  process.stderr.write(
    existsSync(installed)
      ? 'Installing dependencies: the lock file has changed …\n'
      : 'Installing dependencies (first start only) …\n',
  )
  // `npm ci` begins by deleting node_modules; kept aside, a failure (no network) leaves the old installation as it was.
  rmSync(previous, { recursive: true, force: true })
  if (existsSync(installed)) renameSync(installed, previous)
  const options = { cwd: root, env: hostEnvironment(), encoding: 'utf8', shell: true, maxBuffer: 64 * 1024 * 1024 }
  const result = spawnSync(`npm ci --no-audit --no-fund${runtimeOnly ? '' : ' --include=dev'}`, options)
  if (result.status === 0 && isComplete()) {
    rmSync(previous, { recursive: true, force: true })
    return
  }
  rmSync(installed, { recursive: true, force: true })
  if (existsSync(previous)) renameSync(previous, installed)
  if (result.status !== 0) refuse(explain(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`))
  refuse([
    'npm reported success, but the pinned Node or a package is missing afterwards.',
    'Installation scripts must be allowed: check `npm config get ignore-scripts` (should be false).',
  ])
}

const major = Number(process.versions.node.split('.')[0])
if (major < OLDEST_NODE)
  refuse([`Node ${process.versions.node} is too old: ${OLDEST_NODE} or newer is needed to begin with.`])
if (!isComplete()) install()
