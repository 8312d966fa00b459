import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { describe, it } from 'node:test'
import { tempDir } from '../../test/helpers/temp.ts'
import { AppError } from '../core/errors.ts'
import { type Config, type ConfigSources, type Invocation, readInvocation } from './config.ts'
import { helpText } from './config-help.ts'
import { NAMED_SETTINGS, shownDefault } from './config-names.ts'

const NOWHERE = { args: [], env: {}, cwd: '/nonexistent' }
const read = (sources: Partial<ConfigSources>): Promise<Invocation> => readInvocation({ ...NOWHERE, ...sources })

async function configOf(sources: Partial<ConfigSources>): Promise<Config> {
  const invocation = await read(sources)
  assert.ok(invocation.kind === 'serve')
  return invocation.config
}
const refusal = async (sources: Partial<ConfigSources>): Promise<string> => {
  try {
    await read(sources)
  } catch (error) {
    assert.ok(error instanceof AppError)
    return error.message
  }
  return assert.fail('it was accepted')
}

describe('configuration', () => {
  it('given nothing, when it is read, then everything has its default', async () => {
    const config = await configOf({ cwd: '/srv' })
    assert.equal(config.host, '127.0.0.1')
    assert.equal(config.port, 8040)
    assert.equal(config.data, '/srv/data')
    assert.equal(config.blobs, '/srv/data/blobs')
    assert.deepEqual(config.database, { dialect: 'sqlite', file: '/srv/data/entrepot.db' })
    assert.deepEqual(config.roles, ['api', 'worker'])
    assert.equal(config.cluster.name, 'center')
    assert.equal(config.security.allowPrivateTargets, false)
    assert.deepEqual(config.replication.retryDelaysMs, [1000, 4000, 16_000])
    assert.equal(config.replication.partSizeBytes, 16 * 1024 * 1024)
    assert.equal(config.nodes.deletedReserveDays, 15)
    assert.equal(config.adminPassword, undefined)
  })

  it('given flag, environment and file, when one key is in all, then flag wins over environment, and that over file', async () => {
    await using dir = await tempDir()
    await writeFile(dir.file('entrepot.yaml'), 'port: 1\nhost: 0.0.0.1\nreplication:\n  leaseMs: 5000\n')
    const env = { ENTREPOT_PORT: '2', ENTREPOT_HOST: '0.0.0.2' }
    const config = await configOf({ args: ['--port', '3'], env, cwd: dir.path })
    assert.deepEqual([config.port, config.host, config.replication.leaseMs], [3, '0.0.0.2', 5000])
  })

  it('given --config, when it is read, then that file is used and entrepot.yaml is not', async () => {
    await using dir = await tempDir()
    await writeFile(dir.file('entrepot.yaml'), 'port: 1\n')
    await writeFile(dir.file('other.yaml'), 'port: 2\nbackup: {allowedRoots: [/a, /b]}\nroles: worker\n')
    for (const sources of [
      { args: ['--config', 'other.yaml'] },
      { env: { ENTREPOT_CONFIG: dir.file('other.yaml') } },
    ]) {
      const config = await configOf({ ...sources, cwd: dir.path })
      assert.deepEqual([config.port, config.roles, config.backup.allowedRoots], [2, ['worker'], ['/a', '/b']])
    }
    assert.match(await refusal({ args: ['--config', 'absent.yaml'], cwd: dir.path }), /absent\.yaml cannot be used/)
  })

  it('given values as text, when they are read, then they have the types of the table', async () => {
    const config = await configOf({
      args: ['serve', '--allow-private-targets', '--database=postgres://u:p@h/db', '--data', '/d', '--port=0'],
      env: {
        ENTREPOT_REPLICATION_RETRY_DELAYS_MS: '1, 2',
        ENTREPOT_BACKUP_ALLOWED_ROOTS: `/x${delimiter}/y`,
        ENTREPOT_BACKUP_LOCATION_MAP: 'F:\\=/x, G:\\old=/y/z',
        ENTREPOT_BACKUP_USAGE_THRESHOLD: '0.95',
        ENTREPOT_METRICS_PUBLIC: 'false',
        ENTREPOT_PUBLIC_URL: 'https://example.org/entrepot/',
        ENTREPOT_LOG_LEVEL: '',
      },
    })
    assert.equal(config.security.allowPrivateTargets, true)
    assert.deepEqual(config.database, { dialect: 'postgres', url: 'postgres://u:p@h/db' })
    assert.equal(config.port, 0)
    assert.deepEqual(config.replication.retryDelaysMs, [1, 2])
    assert.deepEqual(config.backup.allowedRoots, ['/x', '/y'])
    assert.deepEqual(config.backup.locationMap, [
      { from: 'F:\\', to: '/x' },
      { from: 'G:\\old', to: '/y/z' },
    ])
    assert.equal(config.backup.usageThreshold, 0.95)
    assert.equal(config.metrics.public, false)
    assert.equal(config.publicUrl, 'https://example.org/entrepot')
    assert.equal(config.logLevel, 'info')
  })

  const bad: readonly [string, Partial<ConfigSources>, RegExp][] = [
    ['an unknown flag', { args: ['--prot', '1'] }, /--prot is no option/],
    ['a flag without value', { args: ['--port'] }, /--port.*missing/],
    ['a flag given twice', { args: ['--port', '1', '--port', '2'] }, /--port.*twice/],
    ['a word that is no flag', { args: ['start'] }, /"start" is no option/],
    ['an unknown variable', { env: { ENTREPOT_PROT: '1' } }, /ENTREPOT_PROT is no setting/],
    ['a port that is no number', { args: ['--port', 'x'] }, /port must be a whole number from 0 to 65535 \(--port\)/],
    ['a port above the last', { env: { ENTREPOT_PORT: '65536' } }, /port must be .* \(ENTREPOT_PORT\)/],
    ['a batch above 500', { args: ['--replication-batch-files', '501'] }, /replication\.batchFiles/],
    ['an unknown role', { args: ['--roles', 'api,web'] }, /roles must be one of api, worker/],
    ['no role', { args: ['--roles', ','] }, /roles must name at least one/],
    ['a zone that is none', { args: ['--time-zone', 'Mars/Base'] }, /timeZone must be a time zone/],
    ['a public URL without scheme', { args: ['--public-url', 'example.org'] }, /publicUrl must be an http/],
    ['another database', { args: ['--database', 'mysql://h/db'] }, /database must be sqlite or/],
    ['an unknown log level', { env: { ENTREPOT_LOG_LEVEL: 'loud' } }, /logLevel must be one of/],
    ['a secret as a flag', { args: ['--secret-key', 'x'] }, /--secret-key is no option/],
  ]
  for (const [title, sources, expected] of bad) {
    it(`given ${title}, when it is read, then it is refused by name`, async () => {
      assert.match(await refusal(sources), expected)
    })
  }

  it('given several faults, when they are refused, then all are named and no value is repeated', async () => {
    const message = await refusal({
      args: ['--port', 'x'],
      env: { ENTREPOT_DATABASE: 'mysql://root:hunter2@h/db', ENTREPOT_NOPE: '1' },
    })
    for (const name of ['port', 'database', 'ENTREPOT_NOPE']) assert.ok(message.includes(name))
    assert.equal(message.includes('hunter2'), false)
  })

  it('given a file with an unknown key, a duplicate key or a list, when it is read, then it is refused by name', async () => {
    await using dir = await tempDir()
    const file = dir.file('entrepot.yaml')
    await writeFile(file, 'replication:\n  leaseMS: 1\n')
    assert.match(await refusal({ cwd: dir.path }), /replication\.leaseMS is no setting/)
    await writeFile(file, 'port: 1\nport: 2\n')
    assert.match(await refusal({ cwd: dir.path }), /line \d+: DUPLICATE_KEY/)
    await writeFile(file, '- port\n')
    assert.match(await refusal({ cwd: dir.path }), /not a map/)
    await writeFile(file, 'port: [1]\n')
    assert.match(await refusal({ cwd: dir.path }), /port must be/)
  })

  it('given variables of the tests, when it is read, then they are let pass', async () => {
    await configOf({ env: { ENTREPOT_TEST_POSTGRES: 'x', ENTREPOT_REQUIRE_ALL: '1', HOME: '/root' } })
  })

  it('given --help or --version, when it is read, then nothing else matters', async () => {
    assert.equal((await read({ args: ['--help', '--nonsense=1'] })).kind, 'help')
    assert.equal((await read({ args: ['--version'] })).kind, 'version')
  })
})

describe('documentation of the configuration', () => {
  it('given the table, when help is printed, then it has every flag, variable and default', () => {
    const help = helpText()
    for (const { env, flag, doc } of NAMED_SETTINGS) {
      for (const part of [env, doc, flag === undefined ? '' : `--${flag} `]) assert.ok(help.includes(part), part)
    }
  })

  it('given docs/configuration.md, when its table is read, then it lists the same keys, names and defaults', async () => {
    const text = await readFile(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
    const rows = [...text.matchAll(/^\| `([\w.]+)` \| (.*) \| (.*) \| (.*) \| (.*) \|$/gm)].map((match) =>
      match.slice(1),
    )
    const expected = NAMED_SETTINGS.map((setting) => [
      setting.key,
      setting.flag === undefined ? 'none' : `\`--${setting.flag}\``,
      `\`${setting.env}\``,
      shownDefault(setting),
      setting.doc,
    ])
    assert.deepEqual(rows, expected)
  })
})
