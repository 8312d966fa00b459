import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { it } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { seededBytes } from '../helpers/blobs.ts'
import { type HeldPut, put } from '../helpers/held-put.ts'
import { createLedger, FILES, RDS, startVictim } from '../helpers/killed-server.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import type { ServerProcess } from '../helpers/server-process.ts'
import { blobPath, sha256, stagedFiles } from '../helpers/whole-state.ts'

const OVERWRITE = { 'x-bkrepo-overwrite': 'true' }
/** Not a whole number of chunks. */
const LARGE_BYTES = 4 * 1024 * 1024 + 123
const LANES = 8
const SMALL_KILLS = 6
const MOST_SMALL_FILES = 150

/** When to kill, seen from outside. */
interface Moment {
  readonly name: string
  /** Share of the body after which it is held back. */
  readonly holdAt?: number
  wait(put: HeldPut, server: ServerProcess, bytes: Buffer): Promise<unknown>
}

const inBody = (): Moment => {
  const holdAt = randomInt(1, 100) / 100
  return { name: `at ${holdAt} of the body`, holdAt, wait: ({ held }) => held }
}
const afterBody = (): Moment => {
  const ms = randomInt(0, 30)
  return { name: `${ms} ms after the body`, wait: ({ given }) => given.then(() => sleep(ms)) }
}
const MOMENTS: readonly (() => Moment)[] = [
  inBody,
  inBody,
  () => ({
    name: 'when the last byte was written, maybe not yet durably',
    wait: (sent, server, { length }) => unlessAnswered(sent, () => isStaged(server, length)),
  }),
  () => ({
    name: 'when the blob got its place',
    wait: (sent, server, bytes) => unlessAnswered(sent, async () => existsSync(blobPath(server, sha256(bytes)))),
  }),
  afterBody,
  () => ({ name: 'when it was acknowledged', wait: ({ status }) => status }),
]

async function unlessAnswered({ status }: HeldPut, seen: () => Promise<boolean>): Promise<void> {
  let isOver = false
  void status.then(() => {
    isOver = true
  })
  while (!isOver && !(await seen())) await setImmediate()
}

async function isStaged(server: ServerProcess, sizeBytes: number): Promise<boolean> {
  return (await stagedFiles(server)).some((path) => statSync(path, { throwIfNoEntry: false })?.size === sizeBytes)
}

eachDialect('core.md 15 item 3: kill -9', (dialect) => {
  it('given it dies during a PUT of a large file and the overwrite of another, when started again, then each is whole or as before, and both can be done again', async (t) => {
    await using on = await startVictim(dialect, t.signal)
    const ledger = createLedger()
    for (const [round, moment] of MOMENTS.entries()) {
      const when = moment()
      const sent = [`${FILES}/new/${round}.bin`, `${FILES}/old.bin`].map((key, at) => {
        const bytes = seededBytes(10 * round + at, LARGE_BYTES)
        ledger.begin(key, sha256(bytes))
        const holding = when.holdAt === undefined ? {} : { holdAt: when.holdAt }
        const send = () => put(on.server, `/generic/${key}`, bytes, { headers: OVERWRITE, ...holding })
        return { key, bytes, sending: send() }
      })
      await when.wait(sent[0]!.sending, on.server, sent[0]!.bytes)
      await on.killAndStart()
      for (const { key, sending } of sent) {
        sending.release()
        const status = await sending.status
        if (status === undefined) continue
        assert.equal(status, 200, when.name)
        ledger.acknowledge(key)
      }
      const left = ledger.settle((await on.read()).files, when.name)
      for (const { key, bytes } of sent) {
        if (left.includes(key)) {
          ledger.begin(key, sha256(bytes))
          assert.equal(await put(on.server, `/generic/${key}`, bytes, { headers: OVERWRITE }).status, 200, when.name)
          ledger.acknowledge(key)
        }
        assert.equal(sha256(await on.get(`/generic/${key}`)), sha256(bytes), when.name)
      }
    }
    ledger.settle((await on.read()).files, 'at the end')
  })

  it('given it dies during many small PUTs at once, when started again, then all that were acknowledged are there, and the others can be done again', async (t) => {
    await using on = await startVictim(dialect, t.signal)
    const ledger = createLedger()
    for (let round = 0; round < SMALL_KILLS; round++) {
      const contents = new Map<string, Buffer>()
      const enough = Promise.withResolvers<void>()
      const wanted = randomInt(1, MOST_SMALL_FILES)
      let count = 0
      const send = async (key: string, bytes: Buffer) => {
        ledger.begin(key, sha256(bytes))
        contents.set(key, bytes)
        const { status } = put(on.server, `/generic/${key}`, bytes, { headers: OVERWRITE })
        return status.then((code) => {
          if (code === undefined) return false
          assert.equal(code, 200, key)
          ledger.acknowledge(key)
          if (++count === wanted) enough.resolve()
          return true
        })
      }
      // Lanes bring the same bytes to different places, at about the same time, and overwrite a file of their own.
      const lane = async (name: number) => {
        for (let n = 0; ; n++) {
          const bytes = seededBytes(1_000 * round + n, 1 + ((n * 997) % 3_000))
          if (!(await send(`${FILES}/round-${round}/${name}-${n}`, bytes))) return
          if (!(await send(`${FILES}/hot/${name}`, Buffer.from(`${round} ${n}`)))) return
        }
      }
      const lanes = Promise.all(Array.from({ length: LANES }, (_, name) => lane(name)))
      await Promise.race([enough.promise, lanes])
      await on.killAndStart()
      await lanes
      const left = ledger.settle((await on.read()).files, `round ${round}, after ${wanted} files`)
      assert.ok(left.length > 0, 'some were under way')
      for (const key of left) assert.equal(await send(key, contents.get(key)!), true)
      for (const key of [...contents.keys()].slice(-4 * LANES)) {
        assert.deepEqual(await on.get(`/generic/${key}`), contents.get(key), key)
      }
    }
    ledger.settle((await on.read()).files, 'at the end')
  })

  it('given it dies during the publish of a version and the replacement of another, when started again, then each is whole or as before, and both can be done again', async (t) => {
    await using on = await startVictim(dialect, t.signal)
    const ledger = createLedger()
    const shared = seededBytes(1, 1_000)
    ledger.begin('rds://base@1.0', `${sha256(Buffer.from('shared'))} ${sha256(shared)}`)
    assert.equal(await put(on.server, `/rds/${RDS}/base/1.0?notes=shared`, shared).status, 201)
    ledger.acknowledge('rds://base@1.0')
    for (const [round, moment] of MOMENTS.entries()) {
      const when = moment()
      const sent = [`a/1.${round}`, 'b/2.0'].map((place, at) => {
        const bytes = seededBytes(10 * round + at + 2, LARGE_BYTES)
        const notes = `notes ${round} of ${place}`
        const query = new URLSearchParams({
          notes,
          shared: '/base/1.0/base-1.0.rds',
          overwrite: `${at === 1}`,
          tag: 't',
        })
        const key = `rds://${place.replace('/', '@')}`
        const value = [shared, Buffer.from(notes), bytes].map(sha256).join(' ')
        const send = (options = {}) => {
          ledger.begin(key, value)
          return put(on.server, `/rds/${RDS}/${place}?${query}`, bytes, options)
        }
        const holding = when.holdAt === undefined ? {} : { holdAt: when.holdAt }
        return { key, place, bytes, notes, send, sending: send(holding) }
      })
      await when.wait(sent[0]!.sending, on.server, sent[0]!.bytes)
      await on.killAndStart()
      for (const { key, sending } of sent) {
        sending.release()
        const status = await sending.status
        if (status === undefined) continue
        assert.ok(status === 200 || status === 201, `${when.name}: ${status}`)
        ledger.acknowledge(key)
      }
      const left = ledger.settle((await on.read()).versions, when.name)
      for (const { key, place, bytes, notes, send } of sent) {
        if (left.includes(key)) {
          const status = await send().status
          assert.ok(status === 200 || status === 201, `${when.name}, again: ${status}`)
          ledger.acknowledge(key)
        }
        assert.equal(sha256(await on.get(`/rds/${RDS}/${place}`)), sha256(bytes), when.name)
        assert.equal((await on.get(`/rds/${RDS}/${place}?file=notes`)).toString(), notes, when.name)
      }
    }
    ledger.settle((await on.read()).versions, 'at the end')
  })
})
