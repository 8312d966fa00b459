import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { it } from 'node:test'
import { encodeFrame } from '../../src/remotes/cluster/frames/frame-encoder.ts'
import { FRAMES_MEDIA_TYPE } from '../../src/remotes/cluster/frames/frame-limits.ts'
import { readSourceFrames } from '../../src/remotes/cluster/frames/frame-reader.ts'
import { createReconWriter } from '../../src/remotes/cluster/recon/recon-writer.ts'
import { listen } from '../helpers/faulty-proxy.ts'
import { eachDialect, startCluster } from '../helpers/local-cluster.ts'
import {
  createRepository,
  createTask,
  detailsOf,
  registerCluster,
  taskOf,
  waitForRun,
} from '../helpers/replication-calls.ts'

const FILES = 3
const HELLO = {
  ...{ protocols: [2], clusterId: 'b'.repeat(32), name: 'evil', now: 0 },
  features: { zstd: true, segments: true, duplex: true, deletes: true, packages: false, permissions: false },
  limits: {
    frameBytes: 2 ** 20,
    inlineMaxBytes: 65_536,
    partSizeBytes: 2 ** 24,
    batchItems: 500,
    missingDigests: 10_000,
  },
}
const OPEN = { hello: HELLO, head: { epoch: 'e', seq: 0, mark: '' }, pure: false }

/** A target that takes the calls of a run, and gives this reason for refusing each file; `open` as it is given. */
function hostileTarget(reason: string, open: { readonly status: number; readonly body: object }) {
  const raw = (reply: ServerResponse, body: Buffer) =>
    reply.setHeader('content-type', 'application/octet-stream').end(body)
  const json = (reply: ServerResponse, body: object) => reply.end(JSON.stringify({ code: 0, message: null, ...body }))
  function refuseAll(call: IncomingMessage, reply: ServerResponse): void {
    reply.writeHead(200, { 'content-type': FRAMES_MEDIA_TYPE }).flushHeaders()
    const reader = readSourceFrames(65_536)
    call.on('data', (chunk: Buffer) => {
      for (const frame of reader.push(chunk)) {
        if (frame.type === 'end') reply.end(encodeFrame(frame))
        if (frame.type !== 'entry') continue
        const { item } = frame
        const exceptions = [{ item, result: 'refused', reason, remote: null }] as const
        reply.write(encodeFrame({ type: 'ack', hi: item, seq: 0, exceptions }))
      }
    })
  }
  return createServer((call, reply) => {
    const last = call.url?.split('/').at(-1)
    if (last === 'stream') return refuseAll(call, reply)
    call.resume().on('end', () => {
      if (last === 'open') json(reply.writeHead(open.status), open.body)
      else if (last === 'recon') {
        const writer = createReconWriter('content+metadata')
        writer.add([{ mode: 'empty', range: { lo: '/', hi: null } }])
        raw(reply, writer.end())
      } else if (last === 'missing') raw(reply, Buffer.alloc(1, 0xff))
      else json(reply, { data: HELLO })
    })
  })
}

eachDialect('a target that says what no record takes', (dialect) => {
  const opened = { status: 200, body: { data: OPEN } }
  const cases = [
    {
      what: 'reasons with zero bytes',
      reason: 'nul \0 and \u001b[2J',
      open: opened,
      shown: /was refused: nul {3}and {2}\[2J/,
    },
    {
      what: 'a refusal of 9 MB',
      reason: '',
      open: { status: 400, body: { code: 250105, message: `\0${'y'.repeat(9_000_000)}` } },
      shown: /^evil: {2}y{999} \(250105\)$/,
    },
    {
      what: 'no place in its log',
      reason: '',
      open: { status: 200, body: { data: { ...OPEN, head: undefined } } },
      shown: /where its change log ends/,
    },
  ]
  for (const { what, reason, open, shown } of cases) {
    it(`given ${what}, when a run meets it, then the run ends FAILED with a short reason that can be read`, async (t) => {
      await using source = await startCluster({ name: 'alpha', dialect })
      const target = hostileTarget(reason, open)
      const url = await listen(target)
      try {
        await createRepository(source.api, 'demo/files', t.signal)
        const authorization = `Basic ${Buffer.from(`admin:${source.password}`).toString('base64')}`
        for (let n = 0; n < FILES; n++) {
          const put = { method: 'PUT', body: `hello ${n}`, headers: { authorization } }
          assert.ok((await fetch(`${source.url}/generic/demo/files/f${n}`, put)).ok)
        }
        const id = await registerCluster(source.api, { name: 'evil', url, user: 'admin', password: 'x' }, t.signal)
        const key = await createTask(source.api, taskOf('task', 'demo/files', [id]), t.signal)
        const record = await waitForRun(source.api, key, { runs: 1, pollMs: 50 }, t.signal)
        assert.equal(record.status, 'FAILED')
        assert.match(record.errorReason ?? '', shown)
        const { records } = await detailsOf(source.api, record.id, 10, t.signal)
        assert.equal(records.length, reason === '' ? 0 : FILES)
        for (const detail of records) assert.match(detail.errorReason ?? '', shown)
      } finally {
        target.closeAllConnections()
        target.close()
      }
    })
  }
})
