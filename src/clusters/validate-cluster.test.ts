import assert from 'node:assert/strict'
import { it } from 'node:test'
import { hasCode } from '../core/errors.ts'
import { checkClusterRequest, checkClusterUpdate } from './validate-cluster.ts'

const body = { name: 'beijing', url: 'https://beijing.example', type: 'standalone' }

it('given the smallest request, when checked, then it pings and has no credentials', () => {
  assert.deepEqual(checkClusterRequest(body), {
    name: 'beijing',
    url: 'https://beijing.example',
    type: 'STANDALONE',
    username: undefined,
    password: undefined,
    certificate: undefined,
    appId: undefined,
    accessKey: undefined,
    secretKey: undefined,
    detectType: 'PING',
    ping: true,
    rateLimit: undefined,
  })
})

it('given nulls for everything optional, when checked, then they count as absent', () => {
  const nulls = {
    certificate: null,
    username: null,
    password: null,
    appId: null,
    accessKey: null,
    secretKey: null,
    ping: null,
    detectType: null,
    udpPort: null,
  }
  assert.deepEqual(checkClusterRequest({ ...body, ...nulls }), checkClusterRequest(body))
})

const refused: [what: string, body: unknown, code: string, field?: string][] = [
  ['no object', [], 'REQUEST_CONTENT_INVALID'],
  ['name missing', { ...body, name: undefined }, 'PARAMETER_MISSING', 'name'],
  ['name blank', { ...body, name: ' ' }, 'PARAMETER_EMPTY', 'name'],
  ['name of 1 character', { ...body, name: 'x' }, 'PARAMETER_INVALID', 'name'],
  ['name of 257 characters', { ...body, name: 'x'.repeat(257) }, 'PARAMETER_INVALID', 'name'],
  ['url missing', { ...body, url: null }, 'PARAMETER_MISSING', 'url'],
  ['url blank', { ...body, url: '' }, 'PARAMETER_EMPTY', 'url'],
  ['url of another protocol', { ...body, url: 'ftp://beijing' }, 'PARAMETER_INVALID', 'url'],
  ['url link-local', { ...body, url: '169.254.169.254' }, 'PARAMETER_INVALID', 'url'],
  ['url with credentials', { ...body, url: 'http://a:b@beijing' }, 'PARAMETER_INVALID', 'url'],
  ['type missing', { ...body, type: undefined }, 'PARAMETER_MISSING', 'type'],
  ['type unknown', { ...body, type: 'MOON' }, 'REQUEST_CONTENT_INVALID', 'type'],
  ['user name with a colon', { ...body, username: 'a:b' }, 'PARAMETER_INVALID', 'username'],
  ['certificate that is none', { ...body, certificate: 'trust me' }, 'PARAMETER_INVALID', 'certificate'],
  ['ping no flag', { ...body, ping: 'no' }, 'REQUEST_CONTENT_INVALID', 'ping'],
  ['not built: REMOTE', { ...body, type: 'REMOTE' }, 'OPTION_NOT_BUILT'],
  ['a report from no EDGE', { ...body, detectType: 'REPORT' }, 'PARAMETER_INVALID', 'detectType'],
  ['not built: udpPort', { ...body, udpPort: 9000 }, 'OPTION_NOT_BUILT'],
  ['an appId alone', { ...body, appId: 'x' }, 'PARAMETER_MISSING', 'accessKey'],
  ['half a key pair', { ...body, accessKey: 'x' }, 'PARAMETER_MISSING', 'secretKey'],
  ['the other half', { ...body, secretKey: 'x' }, 'PARAMETER_MISSING', 'accessKey'],
  ['a key pair for nobody', { ...body, accessKey: 'x', secretKey: 'y' }, 'PARAMETER_MISSING', 'username'],
  [
    'a password and a key pair',
    { ...body, username: 'a', password: 'p', accessKey: 'x', secretKey: 'y' },
    'PARAMETER_INVALID',
    'secretKey',
  ],
  ['an access key with a colon', { ...body, accessKey: 'x:y', secretKey: 'z' }, 'PARAMETER_INVALID', 'accessKey'],
  ['a huge url', { ...body, url: `http://${'x'.repeat(2_048)}`, ping: false }, 'PARAMETER_INVALID', 'url'],
  ['a huge user name', { ...body, username: 'x'.repeat(1_025) }, 'PARAMETER_INVALID', 'username'],
  ['a huge certificate', { ...body, certificate: 'x'.repeat(65_537) }, 'PARAMETER_INVALID', 'certificate'],
]
for (const [what, request, code, field] of refused) {
  it(`given a request with ${what}, when checked, then ${code}`, () => {
    assert.throws(
      () => checkClusterRequest(request),
      (error) => hasCode(error, code as 'PARAMETER_INVALID') && (field === undefined || error.detail.name === field),
    )
  })
}

it('given an update, when checked, then only the name is needed, and what is given is checked alike', () => {
  assert.equal(checkClusterUpdate({ name: 'beijing' }).url, undefined)
  assert.throws(() => checkClusterUpdate({ name: 'beijing', url: ' ' }), { code: 'PARAMETER_EMPTY' })
  assert.throws(() => checkClusterUpdate({ name: 'beijing', type: 'REMOTE' }), { code: 'OPTION_NOT_BUILT' })
  assert.equal(checkClusterUpdate({ name: 'beijing', password: '******' }).password, undefined)
  assert.equal(checkClusterUpdate({ name: 'beijing', password: '' }).password, null)
})
