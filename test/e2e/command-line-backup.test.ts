import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { it } from 'node:test'
import { commandLine } from '../helpers/command-line.ts'
import { startRegistry } from '../helpers/registry.ts'
import { tempDir } from '../helpers/temp.ts'

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
