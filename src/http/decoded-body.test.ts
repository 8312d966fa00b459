import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { constants, zstdCompressSync } from 'node:zlib'
import { AS_ADMIN, edge } from '../../test/helpers/edge.ts'
import { decodedBody } from './decoded-body.ts'
import { ok } from './envelope.ts'
import { keepBodiesRaw } from './raw-body.ts'
import type { Routes } from './route.ts'

const routes: Routes = async (app) => {
  keepBodiesRaw(app)
  app.put('/body', { config: { access: 'PUBLIC' } }, async (request, reply) => {
    const { body, sizeBytes } = decodedBody(request, reply)
    return ok({ sizeBytes, text: (await buffer(body)).toString('latin1').slice(0, 100) })
  })
}
const TEXT = 'many words '.repeat(20_000)
const PACKED = zstdCompressSync(TEXT)
const zstd = (decoded?: string) => ({
  'content-encoding': 'zstd',
  ...(decoded === undefined ? {} : { 'x-decoded-length': decoded }),
})

async function put(payload: Buffer, headers: Record<string, string>) {
  await using e = await edge(() => [routes])
  const answer = await e.app.inject({ method: 'PUT', url: '/body', payload, headers: { ...AS_ADMIN, ...headers } })
  return { status: answer.statusCode, ...(answer.json() as { code: number; message: string; data: unknown }) }
}

describe('bodies with a content-encoding', () => {
  it('given zstd and its unpacked length, when read, then the bytes are those before packing', async () => {
    const { data } = await put(PACKED, zstd(String(TEXT.length)))
    assert.deepEqual(data, { sizeBytes: TEXT.length, text: TEXT.slice(0, 100) })
  })

  it('given no encoding, when read, then the bytes are as they came', async () => {
    assert.deepEqual((await put(Buffer.from('plain'), {})).data, { sizeBytes: 5, text: 'plain' })
  })

  it('given a body that unpacks to more or less than announced, or not at all, when read, then it is broken', async () => {
    const wideWindow = zstdCompressSync(Buffer.alloc(1_000), {
      params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 },
    })
    const cases: readonly [Buffer, number][] = [
      [PACKED, TEXT.length - 1],
      [PACKED, TEXT.length + 1],
      [PACKED, 0],
      [PACKED.subarray(0, 20), TEXT.length],
      [Buffer.from('no zstd at all'), 14],
      [zstdCompressSync(Buffer.alloc(64 * 1024 * 1024)), 1_000],
    ]
    for (const [payload, sizeBytes] of cases) {
      const { status, code } = await put(payload, zstd(String(sizeBytes)))
      assert.deepEqual([status, code], [400, 250311], `${payload.length} bytes for ${sizeBytes}`)
    }
    // zlib may write a smaller window than it was asked for: then it is read.
    assert.ok([200, 400].includes((await put(wideWindow, zstd('1000'))).status))
  })

  it('given another encoding, no length or a bad one, when read, then it is refused by name', async () => {
    const codes = [
      (await put(PACKED, { 'content-encoding': 'br' })).code,
      (await put(PACKED, zstd())).code,
      (await put(PACKED, zstd('many'))).code,
    ]
    assert.deepEqual(codes, [250119, 250118, 250105])
  })
})
