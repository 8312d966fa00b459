import assert from 'node:assert/strict'
import { it } from 'node:test'
import { commandLine } from '../helpers/command-line.ts'
import { distributionSource, REPO } from '../helpers/distributions.ts'
import { registerCluster } from '../helpers/replication-calls.ts'
import { scriptedRegistry } from '../helpers/scripted-registry.ts'

it('given a registry, when a version goes there by the command line, then its run, its state and its end are shown, and no password', async () => {
  await using source = await distributionSource('sqlite')
  await using there = await scriptedRegistry({ auth: 'basic' })
  await using cli = await commandLine()
  const { server } = source.registry
  const login = await cli.run(['login', server.url, '--password-stdin'], { input: `${server.password}\n` })
  assert.equal(login.exitCode, 0, login.err)
  await source.tag('1.1')
  const to = ['--to', `${there.url}/team`, '--login', 'pusher', '--password-stdin']
  const add = (name: string, ...more: string[]) =>
    cli.run(['distribution', 'add', REPO, name, ...to, ...more], { input: 'p:ss/w+rd\n' })
  const made = await add('once', '--once', 'nginx:1.1', '--as', '1.2')
  assert.match(made.out, /demo\/images goes to http:\/\/127.0.0.1:\d+\/team as once/)
  assert.equal((await cli.run(['distribution', 'status', REPO, 'once'])).exitCode, 1)
  assert.match(await cli.good('distribution', 'run', REPO, 'once'), /status: +SUCCESS[\s\S]*artifacts: +1 copied/)
  assert.ok(there.manifests.has('team/nginx:1.2'))
  assert.equal((await cli.json('distribution', 'status', REPO, 'once')).status, 'SUCCESS')
  assert.equal((await add('nightly', '--cron', '0 0 3 * * ?', '--off')).exitCode, 0)
  assert.match(await cli.good('distribution', 'list', REPO), /nightly +SCHEDULED +http.* +no\n[\s\S]*once +RUN_ONCE/)
  assert.match(await cli.good('distribution', 'toggle', REPO, 'nightly'), /nightly is on/)
  assert.match(await cli.good('distribution', 'run', REPO, 'nightly'), /1 copied/)
  there.manifests.clear()
  await cli.good('distribution', 'push', REPO, 'nightly', 'nginx', '1.1')
  const shown = await cli.good('distribution', 'show', REPO, 'nightly')
  assert.ok(!shown.includes('p:ss/w+rd'))
  const self = { name: 'beta', url: server.url, user: 'admin', password: server.password }
  await registerCluster(server.api, self, AbortSignal.timeout(20_000))
  await cli.good('distribution', 'add', REPO, 'near', '--to', 'cluster:beta:demo/others', '--off')
  assert.match(await cli.good('distribution', 'list', REPO), /near +REAL_TIME +cluster:beta:demo\/others +no/)
  for (const name of ['near', 'once', 'nightly']) await cli.good('distribution', 'delete', REPO, name)
  assert.deepEqual(await cli.json('distribution', 'list', REPO), [])
  assert.equal((await cli.run(['distribution', 'show', REPO, 'once'])).exitCode, 5)
  assert.equal((await add('x1', '--once', 'nginx')).exitCode, 2)
  assert.equal((await add('x1', '--as', 'y')).exitCode, 2)
})
