import assert from 'node:assert/strict'
import {
  basic,
  type CallMore,
  digestOf,
  INDEX,
  MANIFEST,
  type Registry,
  type RegistryAnswer,
  withDigest,
} from './registry.ts'

export const BYTES = { 'content-type': 'application/octet-stream' }
/** What clients accept that take all kinds of manifests. */
export const ANY_MANIFEST = [
  ...[
    'application/vnd.docker.distribution.manifest.v2+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
  ],
  ...[MANIFEST, INDEX, '*/*'],
].join(', ')

/** As docker, crane and cosign push a blob: POST, PATCH of a body without a length, PUT without a body. */
export async function streamBlob(
  on: Registry,
  name: string,
  bytes: Buffer,
  more: CallMore = {},
): Promise<RegistryAnswer> {
  const begun = await on.call('POST', `/v2/${name}/blobs/uploads/`, more)
  assert.equal(begun.status, 202)
  const patched = await sendUnmeasured(on, 'PATCH', begun.headers.get('location')!, bytes, more.authorization)
  assert.equal(patched.status, 202)
  const location = withDigest(patched.headers.get('location')!, digestOf(bytes))
  return on.call('PUT', location, { ...more, headers: { 'content-length': '0', ...more.headers } })
}

/** A body of which nobody says how long it is. */
export function sendUnmeasured(
  { server }: Registry,
  method: string,
  target: string,
  bytes: Buffer,
  authorization = basic('admin'),
): Promise<Response> {
  return fetch(new URL(target, server.url), {
    ...{ method, headers: { ...BYTES, authorization }, duplex: 'half' },
    body: new Blob([new Uint8Array(bytes)]).stream(),
  })
}
