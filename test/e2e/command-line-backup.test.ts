import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { commandLine } from '../helpers/command-line.ts'
import { startRegistry } from '../helpers/registry.ts'
import { tempDir } from '../helpers/temp.ts'

const filesBelow = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

it('given files, when backed up, verified, pruned and restored by the command line, then each step says what it did and ends with 0', async ({
  signal,
}) => {
  await using dir = await tempDir()
  const root = dir.file('backups')
  const settings = { ENTREPOT_BACKUP_ALLOWED_ROOTS: root, ENTREPOT_BACKUP_USAGE_THRESHOLD: '1' }
  await using on = await startRegistry('sqlite', settings)
  await using cli = await commandLine()
  const { server } = on
  const login = await cli.run(['login', server.url, '--password-stdin'], { input: `${server.password}\n` })
  assert.equal(login.exitCode, 0, login.err)
  await cli.run(['project', 'create', 'team'])
  await cli.run(['repo', 'create', 'team/files'])
  await server.api.upload('team/files', '/a.txt', Buffer.from('hello'), {}, signal)

  const made = await cli.run(['backup', 'create', 'mine', '--repository', '--only', 'team', '--keep-last', '2'])
  assert.equal(made.exitCode, 0, made.err + made.out)
  assert.match(made.out, /state: +FINISHED, SUCCESS[\s\S]*made: /)
  const zip = await cli.run(['backup', 'create', 'zipped', '--zip', '--only', 'team/files', '--json'])
  const { artifactLocation } = JSON.parse(zip.out) as { artifactLocation: string }
  assert.match(artifactLocation, /zipped-\d{8}\.\d{6}\.zip$/)
  assert.deepEqual((await readdir(root)).sort(), ['repo', 'zipped'])

  assert.match((await cli.run(['backup', 'list'])).out, /mine +DATA_BACKUP +FINISHED +SUCCESS/)
  assert.equal((await cli.run(['backup', 'verify', 'mine'])).exitCode, 0)
  assert.equal((await cli.run(['backup', 'verify', artifactLocation, '--percent', '50'])).exitCode, 0)
  const again = await cli.run(['backup', 'run', 'mine'])
  assert.equal(again.exitCode, 0, again.err)
  assert.equal((await cli.run(['backup', 'prune', '.', '--keep-last', '1', '--dry-run'])).exitCode, 0)
  const back = await cli.run(['backup', 'restore', artifactLocation, '--only', 'team', '--into', 'copy'])
  assert.equal(back.exitCode, 0, back.err + back.out)
  assert.match((await cli.run(['ls', 'copy/files'])).out, /a\.txt/)
})

it('given an encrypted repository, when its passphrases are changed by the command line, then each step says what it did and shows none', async () => {
  await using dir = await tempDir()
  const settings = {
    ENTREPOT_BACKUP_ALLOWED_ROOTS: dir.path,
    ENTREPOT_BACKUP_USAGE_THRESHOLD: '1',
    ENTREPOT_BACKUP_PASSPHRASE: 'correct horse battery',
  }
  await using on = await startRegistry('sqlite', settings)
  await using cli = await commandLine()
  await cli.run(['login', on.server.url, '--password-stdin'], { input: `${on.server.password}\n` })
  await cli.good('backup', 'create', 'mine', '--repository')
  const place = [dir.path, '--passphrase-stdin', '--label', 'of 2027']
  const added = await cli.run(['backup', 'key', 'add', ...place, '--json'], { input: 'staple of 2027, longer\n' })
  assert.equal(added.exitCode, 0, added.err)
  const { id } = JSON.parse(added.out) as { id: string }
  const list = await cli.good('backup', 'key', 'list', dir.path)
  assert.match(list, new RegExp(`^ID +CREATED +LABEL\\n[0-9a-f]{32} .*\\n${id} .* of 2027\\n$`))
  assert.match(await cli.good('backup', 'key', 'remove', dir.path, id), new RegExp(`Removed key ${id}`))
  const [own] = (await cli.json('backup', 'key', 'list', '.')) as { id: string }[]
  for (const [args, input, exitCode, words] of [
    [['remove', '.', own!.id], '', 1, /the only one/],
    [['remove', '.', id], '', 5, /has no key/],
    [['add', ...place], 'short\n', 1, /12 characters or more/],
    [['add', '.'], '', 2, /no terminal to ask on: use --passphrase-stdin/],
    [['list', './nothing'], '', 1, /nothing is there/],
  ] as const) {
    const refused = await cli.run(['backup', 'key', ...args], { input })
    assert.equal(refused.exitCode, exitCode, `${args.join(' ')}: ${refused.err}`)
    assert.match(refused.err, words)
  }
})

it('given backups by their names, when they are shown, checked, pruned and spoilt, then people read what is the matter', async ({
  signal,
}) => {
  await using dir = await tempDir()
  const root = dir.file('backups')
  const settings = { ENTREPOT_BACKUP_ALLOWED_ROOTS: root, ENTREPOT_BACKUP_USAGE_THRESHOLD: '1' }
  await using on = await startRegistry('sqlite', settings)
  await using cli = await commandLine()
  const { server } = on
  const run = async (words: string, exitCode = 0) => {
    const ended = await cli.run(['backup', ...words.split(' ')])
    assert.equal(ended.exitCode, exitCode, `${words}: ${ended.err}${ended.out}`)
    return ended.out
  }
  await cli.run(['login', server.url, '--password-stdin'], { input: `${server.password}\n` })
  await cli.run(['project', 'create', 'team'])
  await cli.run(['repo', 'create', 'team/files'])
  await server.api.upload('team/files', '/a.txt', Buffer.from('hello'), {}, signal)

  const cron = ['--cron', '0 0 2 * * ?']
  await cli.run(['backup', 'create', 'nightly', '--to', 'site', '--only', 'team', ...cron])
  assert.match(await run('list'), /NEXT.*\n.*nightly .*PENDING +\d{4}-\d\d-\d\dT02:00:00/)
  assert.match(await run('show nightly'), /state: +PENDING\n[\s\S]*next run: +\d{4}-\d\d-\d\dT02:00/)
  const made = await run('run nightly')
  assert.match(made, /state: +PENDING\nlast run: +SUCCESS\n[\s\S]*did: +1 repository, 1 file or folder, 1 content/)
  assert.match(await run('verify nightly'), /done: +.*, 7 objects\n[\s\S]*found: +nothing wrong/)
  assert.match(
    await run('prune nightly --keep-last 1 --dry-run'),
    /kept: 1\n +\S+\/site\/nightly\/\S+ \(the last good one/,
  )
  const [runName] = await readdir(join(root, 'site/nightly'))
  const restored = await run(`restore ./site/nightly/${runName} --only team`)
  assert.match(restored, /did: +1 project, 1 repository, 1 file/)
  assert.match(await run('run restore'), /state: +FINISHED, SUCCESS/)

  const [content] = await filesBelow(join(root, 'site/nightly', runName!, 'bk+store'))
  await rm(content!)
  const spoilt = await run('verify nightly', 1)
  assert.match(spoilt, /findings: \d\n +\S+\/site\/nightly\/\S+: bk\+store\/\S+: it is missing/)
  assert.ok(!/\[object|\{/.test(spoilt), spoilt)
})

it('given wrong words, when a backup is asked for, then the command says what is wrong, and how it may be said', async () => {
  await using on = await startRegistry('sqlite')
  await using cli = await commandLine()
  await cli.run(['login', on.server.url, '--password-stdin'], { input: `${on.server.password}\n` })
  const cases = [
    [['backup', 'create', 'x', '--zip', '--repository'], 2, /Either --zip or --repository/],
    [['backup', 'create', 'x', '--only', 'a/b/c'], 2, /neither project nor project\/repository/],
    [['backup', 'create', '../evil'], 1, /name/],
    [['backup', 'create', 'x', '--to', '/etc'], 1, /storeLocation/],
    [['backup', 'run', 'nothing'], 5, /no backup task "nothing"/],
    [['backup', 'restore', './nothing.zip'], 1, /storeLocation/],
    [['backup', 'prune', '.'], 2, /--keep-last 7/],
    [['backup', 'restore', './x.zip', '--into', 'y'], 2, /--only PROJECT/],
  ] as const
  for (const [args, exitCode, words] of cases) {
    const ended = await cli.run([...args])
    assert.equal(ended.exitCode, exitCode, `${args.join(' ')}: ${ended.err}`)
    assert.match(ended.err, words)
  }
})
