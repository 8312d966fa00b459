import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { type CommandLine, commandLine } from '../helpers/command-line.ts'
import { type LocalCluster, startCluster } from '../helpers/local-cluster.ts'

describe('the command line of replication', () => {
  let here: LocalCluster
  let there: LocalCluster
  let cli: CommandLine

  before(async () => {
    cli = await commandLine()
    here = await startCluster({ name: 'here', dialect: 'sqlite' })
    there = await startCluster({ name: 'there', dialect: 'sqlite' })
    const login = await cli.run(['login', here.url, '--password-stdin'], { input: `${here.password}\n` })
    assert.equal(login.exitCode, 0, login.err)
    await cli.good('project', 'create', 'demo')
    await cli.good('repo', 'create', 'demo/files')
    await writeFile(cli.file('a.txt'), 'alpha')
    await cli.good('upload', 'a.txt', 'demo/files/a.txt')
    const added = await cli.run(['cluster', 'add', 'beta', there.url, '--login', 'admin', '--password-stdin'], {
      input: `${there.password}\n`,
    })
    assert.equal(added.exitCode, 0, added.err)
    assert.ok(!added.out.includes(there.password))
  })
  after(async () => {
    await here?.[Symbol.asyncDispose]()
    await there?.[Symbol.asyncDispose]()
    await cli?.[Symbol.asyncDispose]()
  })

  it('given another cluster, when it is listed and tested, then it is there and answers; one that is not there ends with 5', async () => {
    assert.match(await cli.good('cluster', 'list'), /beta +STANDALONE +HEALTHY +http/)
    assert.equal((await cli.json('cluster', 'list', '--type', 'standalone')).length, 1)
    assert.match(await cli.good('cluster', 'test', 'beta'), /beta answers/)
    assert.equal((await cli.run(['cluster', 'test', 'none'])).exitCode, 5)
    await cli.good('cluster', 'add', 'later', 'http://127.0.0.1:9', '--no-ping')
    const away = await cli.run(['--json', 'cluster', 'test', 'later'])
    assert.deepEqual([away.exitCode, JSON.parse(away.err).code], [1, 250301])
    await cli.good('cluster', 'delete', 'later')
  })

  it('given a task, when it is run, then its end is shown with what it copied, and its runs and artifacts are listed', async () => {
    const made = await cli.good('task', 'create', 'once', '--from', 'demo/files', '--to', 'beta', '--type', 'run-once')
    assert.match(made, /Made task once \([0-9a-f]{32}\)/)
    assert.match(
      await cli.good('task', 'run', 'once'),
      /status: +SUCCESS[\s\S]*artifacts: +1 copied, 0 left as they are/,
    )
    const again = await cli.json('task', 'run', 'once')
    assert.deepEqual([again.status, again.replicaOverview.skip], ['SUCCESS', 1])
    const runs = await cli.json('record', 'list', 'once')
    assert.equal(runs.totalRecords, 2)
    const first = runs.records[1]
    assert.match(await cli.good('record', 'show', first.id), /files\/a.txt +beta +5 B +SUCCESS/)
    assert.equal((await cli.json('record', 'watch', first.id)).status, 'SUCCESS')
    assert.match(await cli.good('task', 'list', 'demo'), /once +RUN_ONCE +demo +beta +yes +COMPLETED +SUCCESS/)
    assert.equal((await cli.run(['record', 'show', 'f'.repeat(24)])).exitCode, 5)
  })

  it('given a schedule, when the task is made, switched off and on and deleted, then what comes next is told', async () => {
    const options = ['--from', 'demo/files', '--to', 'beta:copy/files', '--path', '/a.txt', '--conflict', 'overwrite']
    const made = await cli.json('task', 'create', 'nightly', ...options, '--cron', '0 2 * * 1-5')
    assert.match(made.nextExecutionTime, /T02:00:00\.000$/)
    const { objects } = await cli.json('task', 'show', 'nightly')
    assert.deepEqual([objects[0].remoteProjectId, objects[0].pathConstraints[0].path], ['copy', '/a.txt'])
    assert.match(await cli.good('task', 'disable', 'nightly'), /nightly is off\n/)
    assert.match(await cli.good('task', 'enable', made.key), /nightly is on; it runs next at .*T02:00/)
    const idle = await cli.run(['--json', 'task', 'stop', 'nightly'])
    assert.deepEqual([idle.exitCode, JSON.parse(idle.err).code], [1, 250303])
    await cli.good('task', 'delete', 'nightly')
    assert.equal((await cli.run(['task', 'run', 'nightly'])).exitCode, 5)
  })

  it('given a task that is described, made, run and spoiled, when planned and verified, then what would travel and what differs is told', async () => {
    await cli.good('repo', 'create', 'demo/more')
    await writeFile(cli.file('b.txt'), 'beta')
    await cli.good('upload', 'b.txt', 'demo/more/b.txt')
    const options = ['--from', 'demo/more', '--to', 'beta']
    const planned = await cli.good('task', 'plan', ...options)
    assert.match(planned, /demo\/more +beta:demo\/more +1 send +4 B/)
    assert.match(planned, /send +more\/b.txt +beta +4 B/)
    await cli.good('task', 'create', 'planned', ...options, '--off')
    const differs = await cli.run(['task', 'verify', 'planned'])
    assert.deepEqual([differs.exitCode, differs.err.trim()], [1, 'entrepot: Source and target differ'])
    assert.match(differs.out, /missing +more\/b.txt/)
    await cli.good('task', 'enable', 'planned')
    const [run] = (await cli.json('record', 'list', 'planned')).records
    assert.equal((await cli.json('record', 'watch', run.id)).status, 'SUCCESS')
    assert.match(await cli.good('task', 'verify', 'planned', '--deep'), /Both sides are equal\n/)
    const empty = await cli.json('task', 'plan', 'planned', '--class', 'send')
    assert.deepEqual([empty.total.counts.send, empty.items.records], [0, []])
    const nothing = await cli.run(['record', 'retry', run.id])
    assert.equal(nothing.exitCode, 1, nothing.err)
  })

  it('given a target that does not answer, when a task is planned and verified, then neither is said to be known', async (t) => {
    const body = { name: 'to nowhere', localProjectId: 'demo', replicaTaskObjects: [{ localRepoName: 'files' }] }
    const made = await cli.run(['task', 'create', '--file', '-'], {
      input: JSON.stringify({ ...body, remoteClusterIds: ['beta'], enabled: false }),
    })
    assert.equal(made.exitCode, 0, made.err)
    const move = (cluster: object) =>
      here.api.call('POST', '/replication/api/cluster/update', { name: 'beta', ...cluster }, t.signal)
    await move({ url: 'http://127.0.0.1:9', password: there.password, ping: false })
    for (const what of ['plan', 'verify']) {
      const ended = await cli.run(['task', what, 'to nowhere'])
      assert.equal(ended.exitCode, 1, what)
      assert.match(ended.err, /could not be found out: beta: .*ECONNREFUSED/)
      assert.doesNotMatch(ended.out, /^(The sides differ|Both sides)/m)
    }
    await move({ url: there.url, password: there.password })
  })

  it('given a file that failed, when the task is verified, then the command says that the sides differ', async () => {
    await cli.good('repo', 'create', 'demo/taken')
    await writeFile(cli.file('ours.txt'), 'ours')
    await cli.good('upload', 'ours.txt', 'demo/taken/x.txt')
    const options = ['--from', 'demo/taken', '--conflict', 'fast-fail']
    await cli.good('task', 'create', 'clash', ...options, '--to', 'beta:demo/files', '--type', 'run-once')
    await writeFile(cli.file('theirs.txt'), 'theirs')
    const env = { ENTREPOT_URL: there.url, ENTREPOT_USER: 'admin', ENTREPOT_PASSWORD: there.password }
    const put = await cli.run(['upload', 'theirs.txt', 'demo/files/x.txt'], { env })
    assert.equal(put.exitCode, 0, put.err)
    assert.equal((await cli.run(['task', 'run', 'clash'])).exitCode, 1)
    const proof = await cli.run(['task', 'verify', 'clash'])
    assert.deepEqual([proof.exitCode, proof.err.trim()], [1, 'entrepot: Source and target differ'])
    assert.match(proof.out, /The sides differ\n[\s\S]*failed +taken\/x.txt/)
  })

  it('given a whole task as JSON, when it is made from a file, then as it says', async () => {
    const body = {
      localProjectId: 'demo',
      replicaTaskObjects: [{ localRepoName: 'files' }],
      remoteClusterIds: ['beta'],
    }
    await writeFile(cli.file('task.json'), JSON.stringify({ ...body, enabled: false, name: 'in the file' }))
    assert.equal((await cli.json('task', 'create', 'by file', '--file', 'task.json')).name, 'by file')
    const read = await cli.run(['--json', 'task', 'create', '--file', '-'], {
      input: JSON.stringify({ ...body, enabled: false, name: 'by input' }),
    })
    assert.equal(JSON.parse(read.out).name, 'by input')
  })

  it('given mistakes, when a task is made, then one line says what is wrong', async () => {
    const from = ['--from', 'demo/files', '--to', 'beta']
    for (const [args, exitCode, message] of [
      [['task', 'create', 'x1'], 2, /--from/],
      [['task', 'create', 'x1', '--from', 'demo/files'], 2, /--to/],
      [['task', 'create', ...from], 2, /needs a name/],
      [
        ['task', 'create', 'x1', ...from, '--cron', '0 2 * * *', '--at', '2030-01-01T00:00:00'],
        2,
        /Either --cron or --at/,
      ],
      [['task', 'create', 'x1', ...from, '--cron', 'at night'], 1, /cronExpression/],
      [['task', 'create', 'x1', ...from, '--at', '2020-01-01T00:00:00'], 1, /executeTime/],
      [['task', 'create', 'x1', '--from', 'demo/files', '--to', 'nowhere'], 5, /nowhere/],
      [['task', 'create', 'x1', '--file', 'no-such-file'], 2, /no-such-file/],
      [['task', 'show', 'no such task'], 5, /no such task/],
    ] as const) {
      const ended = await cli.run([...args])
      assert.equal(ended.exitCode, exitCode, `${args.join(' ')}: ${ended.err}`)
      assert.match(ended.err, message)
    }
  })
})
