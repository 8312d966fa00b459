import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fastify from 'fastify'
import type { RecordDetail } from '../../tasks/record.ts'
import { createDates } from '../dates.ts'
import type { App } from '../route.ts'
import { exportRoutes } from './export-routes.ts'

const SLICES = 2_000

/** A record of two million details, which knows how many slices of them were asked for. */
async function serveExport() {
  const seen = { asked: 0, left: Promise.withResolvers<void>() }
  const detail = {
    ...{
      id: 'd',
      recordId: 'r',
      clusterName: 'beta',
      localRepo: 'files',
      repoType: 'GENERIC',
      path: `/${'x'.repeat(200)}`,
    },
    ...{ packageKey: null, version: null, digest: null, sizeBytes: 1, status: 'SUCCESS', conflictStrategy: null },
    ...{ errorReason: null, executeType: 'FULL', startedAt: 1, endedAt: 2 },
  } as RecordDetail
  const records = {
    get: async () => ({ record: { id: 'r' } }) as never,
    async *eachDetails() {
      try {
        for (; seen.asked < SLICES; seen.asked++) {
          yield Array.from({ length: 1_000 }, () => detail)
          await turn()
        }
      } finally {
        seen.left.resolve()
      }
    },
  }
  const app = fastify({ serverFactory: (handler) => createServer(handler) }) as unknown as App
  app.setValidatorCompiler(() => (value) => ({ value }))
  await app.register(exportRoutes({ records, dates: createDates('UTC'), clusterName: 'alpha' }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/replication/api/task/record/detail/export/r`
  return { app, url, seen, [Symbol.asyncDispose]: () => app.close() }
}
async function answerOf(url: string, signal: AbortSignal): Promise<IncomingMessage> {
  const [answer] = (await once(get(url, { signal, agent: false }), 'response')) as [IncomingMessage]
  return answer
}

describe('export of details', () => {
  it('given a client that takes nothing and then goes away, when it was sent some, then little was read, and the reading ends', async (t) => {
    await using export_ = await serveExport()
    const answer = await answerOf(export_.url, t.signal)
    await once(answer, 'readable')
    let before = -1
    while (before !== export_.seen.asked) {
      before = export_.seen.asked
      for (let n = 0; n < 100; n++) await turn()
    }
    assert.ok(before < SLICES / 4, `${before} slices`)
    answer.destroy()
    await export_.seen.left.promise
    assert.ok(export_.seen.asked <= before + 2)
  })

  it('given HEAD, when asked, then nothing is read', async (t) => {
    await using export_ = await serveExport()
    const answer = await fetch(export_.url, { method: 'HEAD', signal: t.signal })
    assert.deepEqual([answer.status, export_.seen.asked], [200, 0])
  })
})
