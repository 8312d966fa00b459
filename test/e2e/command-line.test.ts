import assert from 'node:assert/strict'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { after, before, describe, it } from 'node:test'
import { type CommandLine, commandLine } from '../helpers/command-line.ts'
import { type LocalCluster, startCluster } from '../helpers/local-cluster.ts'

describe('the command line', () => {
  let cluster: LocalCluster
  let cli: CommandLine
  const entrepot: CommandLine['run'] = (...given) => cli.run(...given)
  const good: CommandLine['good'] = (...args) => cli.good(...args)
  const json: CommandLine['json'] = (...args) => cli.json(...args)

  before(async () => {
    cli = await commandLine()
    cluster = await startCluster({ name: 'cli', dialect: 'sqlite' })
    const { exitCode, err } = await entrepot(['login', cluster.url, '--password-stdin'], {
      input: `${cluster.password}\n`,
    })
    assert.equal(exitCode, 0, err)
    await good('project', 'create', 'demo')
    await good('repo', 'create', 'demo/files')
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
    await cli?.[Symbol.asyncDispose]()
  })

  it('given a login, when the profile is looked at, then it holds a token, not the password, and nobody else may read it', async () => {
    const file = cli.file('.config/entrepot/profiles.json')
    const content = await readFile(file, 'utf8')
    assert.ok(!content.includes(cluster.password))
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.match(await good('profile', 'list'), /\* +default/)
    assert.equal((await json('user', 'show')).userId, 'admin')
  })

  it('given a reader that goes away, when more is printed, then the command ends like any other, without a word', async () => {
    const { exitCode, err } = await cli.runUnread(['--help'])
    assert.deepEqual([exitCode, err], [128 + constants.signals.SIGPIPE, ''])
  })

  it('given files and folders, when they are uploaded, listed and downloaded, then every byte is there again', async () => {
    await mkdir(cli.file('in/sub dir'), { recursive: true })
    await writeFile(cli.file('in/a.txt'), 'alpha')
    await writeFile(cli.file('in/sub dir/ü#.bin'), Buffer.alloc(300_000, 7))
    await writeFile(cli.file('one.txt'), '')
    assert.match(await good('upload', 'in', 'one.txt', 'demo/files/up/', '-m', 'team=core'), /Uploaded 3 files/)
    assert.match(await good('ls', 'demo/files/up'), /\/up\/in\//)
    const listed = (await json('ls', '-r', 'demo/files/up')) as { fullPath: string; folder: boolean }[]
    assert.deepEqual(
      listed.filter(({ folder }) => !folder).map(({ fullPath }) => fullPath),
      ['/up/in/a.txt', '/up/in/sub dir/ü#.bin', '/up/one.txt'],
    )
    await good('download', 'demo/files/up', 'out')
    assert.equal(await readFile(cli.file('out/up/in/a.txt'), 'utf8'), 'alpha')
    assert.ok((await readFile(cli.file('out/up/in/sub dir/ü#.bin'))).equals(Buffer.alloc(300_000, 7)))
    await good('download', 'demo/files/up/in/a.txt', 'b.txt')
    assert.equal(await readFile(cli.file('b.txt'), 'utf8'), 'alpha')
  })

  it('given a file that is there, when it is uploaded again, then only with --overwrite', async () => {
    await writeFile(cli.file('x.txt'), 'x')
    await good('upload', 'x.txt', 'demo/files/x.txt')
    const again = await entrepot(['--json', 'upload', 'x.txt', 'demo/files/x.txt'])
    assert.equal(again.exitCode, 1)
    assert.equal(JSON.parse(again.err).code, 251012)
    await good('upload', '--overwrite', 'x.txt', 'demo/files/x.txt')
  })

  it('given files with metadata, when searched, then the right ones are found', async () => {
    await writeFile(cli.file('found.txt'), 'found')
    await good('upload', 'found.txt', 'demo/files/search/found.txt', '-m', 'color=red')
    const found = await json('search', 'demo', '--name', 'fou*', '-m', 'color=red')
    assert.deepEqual(
      found.records.map(({ fullPath }: { fullPath: string }) => fullPath),
      ['/search/found.txt'],
    )
    assert.equal((await json('search', 'demo', '--path', 'search', '--larger', '5')).totalRecords, 0)
  })

  it('given users and tokens, when made, used, locked and deleted, then each step counts at once', async () => {
    const made = await entrepot(['user', 'create', 'ann', '--password-stdin'], { input: 'a-long-password' })
    assert.equal(made.exitCode, 0, made.err)
    const asAnn = { ENTREPOT_URL: cluster.url, ENTREPOT_USER: 'ann', ENTREPOT_PASSWORD: 'a-long-password' }
    const token = (await good('token', 'create', 'ci', '--of', 'ann')).trim()
    const withToken = { ...asAnn, ENTREPOT_TOKEN: token }
    assert.equal((await entrepot(['user', 'show'], { env: withToken })).exitCode, 0)
    assert.match(await good('token', 'list', '--of', 'ann'), /ci/)
    const denied = await entrepot(['user', 'list'], { env: asAnn })
    assert.equal(denied.exitCode, 4, denied.err)
    await good('user', 'update', 'ann', '--locked')
    assert.equal((await entrepot(['user', 'show'], { env: withToken })).exitCode, 4)
    assert.equal((await json('user', 'show', 'ann')).admin, false)
    await good('user', 'delete', 'ann')
    assert.equal((await entrepot(['user', 'show', 'ann'])).exitCode, 5)
  })

  it('given a repository, when its quota is set and it is deleted, then the server says what it said', async () => {
    await good('repo', 'create', 'demo/small', '--public', '--quota', '3')
    assert.match(await good('repo', 'list', 'demo'), /small +GENERIC +\w+ +public/)
    await writeFile(cli.file('four.txt'), 'four')
    const refused = await entrepot(['--json', 'upload', 'four.txt', 'demo/small/four.txt'])
    assert.equal(JSON.parse(refused.err).code, 251025)
    await good('repo', 'quota', 'demo/small', '4')
    await good('upload', 'four.txt', 'demo/small/four.txt')
    assert.equal((await entrepot(['repo', 'delete', 'demo/small'])).exitCode, 1)
    await good('repo', 'delete', '--force', 'demo/small')
    assert.equal((await entrepot(['repo', 'info', 'demo/small'])).exitCode, 5)
  })

  it('given stored bytes, when scrubbed and collected, then the reports are shown', async () => {
    const run = await json('scrub')
    assert.equal(run.damaged + run.missing, 0)
    assert.ok(run.blobs > 0)
    const report = await json('gc')
    assert.ok(report.endTime >= report.startTime)
  })

  it('given fingerprints, when built anew and checked, then each repository is right; one that is not there ends with 5', async () => {
    const all = await json('fingerprint', 'check')
    assert.ok(all.some(({ repository }: { repository: string }) => repository === 'demo/files'))
    const [one] = await json('fingerprint', 'check', '--rebuild', 'demo/files')
    assert.deepEqual([one.complete, one.wrong], [true, []])
    assert.ok(one.rows > 0)
    assert.match(await good('fingerprint', 'check', 'demo/files'), /demo\/files +\d+ +right/)
    assert.equal((await entrepot(['fingerprint', 'check', 'demo/none'])).exitCode, 5)
  })

  it('given a server that does not answer, when asked, then exit code 3; as JSON, too', async () => {
    const env = { ENTREPOT_TOKEN: 'x', ENTREPOT_URL: 'http://127.0.0.1:9', ENTREPOT_USER: 'ann' }
    const { exitCode, err } = await entrepot(['--json', 'project', 'list'], { env })
    assert.equal(exitCode, 3)
    assert.match(JSON.parse(err).error, /Cannot reach/)
    const usage = await entrepot(['--json', 'frobnicate'])
    assert.deepEqual([usage.exitCode, JSON.parse(usage.err).code, usage.out], [2, null, ''])
  })

  it('given mistakes, when a command runs, then it ends with one line and the exit code of its kind', async () => {
    for (const [args, exitCode, message] of [
      [['ls', 'demo/nothing'], 5, /not found/],
      [['ls', 'demo'], 2, /project\/repository\/path/],
      [['upload', 'no-such-file', 'demo/files/'], 2, /no-such-file/],
      [['--url', 'http://127.0.0.1:9', 'project', 'list'], 4, /No secret is known/],
      [['login', 'nonsense', '--password-stdin'], 2, /no address/],
      [['--profile', 'none', 'project', 'list'], 2, /no profile none/],
      [['frobnicate'], 2, /unknown command/],
      [['search', 'demo', '--page', 'x'], 2, /whole number/],
      [['repo', 'create'], 2, /missing required argument/],
    ] as const) {
      const ended = await entrepot([...args])
      assert.equal(ended.exitCode, exitCode, `${args.join(' ')}: ${ended.err}`)
      assert.match(ended.err, message)
      assert.ok(!ended.err.includes('    at '), ended.err)
    }
  })
})
