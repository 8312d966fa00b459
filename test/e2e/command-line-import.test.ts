import assert from 'node:assert/strict'
import { it } from 'node:test'
import { commandLine } from '../helpers/command-line.ts'
import { seedImage } from '../helpers/image-proxies.ts'
import { startRegistry } from '../helpers/registry.ts'
import { scriptedRegistry } from '../helpers/scripted-registry.ts'

it('given images of another registry, when imported by the command line, then they are here, its end is shown, and again is quick', async () => {
  await using on = await startRegistry('sqlite', { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' })
  await using source = await scriptedRegistry({ auth: 'basic' })
  await using cli = await commandLine()
  const { server } = on
  const login = await cli.run(['login', server.url, '--password-stdin'], { input: `${server.password}\n` })
  assert.equal(login.exitCode, 0, login.err)
  const image = seedImage(source, 'team/nginx', '1.1')
  seedImage(source, 'team/nginx', '1.2')
  const as = ['--login', 'pusher', '--password-stdin']
  const bring = (reference: string) =>
    cli.run(['import', `${source.url}/${reference}`, 'demo/images', ...as], { input: 'p:ss/w+rd\n' })
  const one = await bring('team/nginx:1.1')
  assert.equal(one.exitCode, 0, one.err)
  assert.match(one.out, /status: +SUCCESS[\s\S]*artifacts: +1 copied/)
  const here = await on.call('GET', '/v2/demo/images/team/nginx/manifests/1.1')
  assert.deepEqual(here.body, image.bytes)
  assert.match((await bring('team/nginx')).out, /1 copied, 1 left as they are/)
  const missing = await bring('team/nothing')
  assert.equal(missing.exitCode, 1)
  assert.match(missing.out + missing.err, /team\/nothing/)
  assert.doesNotMatch(missing.out + missing.err, /w\+rd/)
  assert.equal((await cli.run(['import', 'nginx', 'demo/images'])).exitCode, 2)
})
