import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { basic } from '../helpers/registry.ts'

const SCRIPT = new URL('../../scripts/conformance-serve.ts', import.meta.url).pathname

it('given npm run conformance:serve, when started, then it prints where an empty registry is, and ends cleanly on SIGTERM', async () => {
  const server = spawn(process.execPath, [SCRIPT], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(server, 'exit')
  const said = new Map<string, string>()
  for await (const line of createInterface({ input: server.stdout })) {
    const [, name = '', value = ''] = /^export (\w+)=(.*)$/.exec(line) ?? []
    if (name === '') break
    said.set(name, value)
  }
  const {
    OCI_ROOT_URL: url,
    OCI_USERNAME: user,
    OCI_PASSWORD: password,
    OCI_NAMESPACE: name,
  } = Object.fromEntries(said)
  const authorization = basic(user!, password)
  const answer = await fetch(`${url}/v2/`, { headers: { authorization } })
  const begun = await fetch(`${url}/v2/${name}/blobs/uploads/`, { method: 'POST', headers: { authorization } })
  assert.deepEqual([answer.status, begun.status], [200, 202])
  assert.notEqual(said.get('OCI_CROSSMOUNT_NAMESPACE'), name)
  for (const part of ['PULL', 'PUSH', 'CONTENT_DISCOVERY', 'CONTENT_MANAGEMENT']) {
    assert.equal(said.get(`OCI_TEST_${part}`), '1')
  }
  server.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
})
