import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'
import { manualClock } from '../../test/helpers/clock.ts'
import { type RecordInfo, recordLines, watchRun } from './run-progress.ts'
import type { ServerApi } from './server-api.ts'
import { createTerminal } from './terminal.ts'

const RUNNING: RecordInfo = {
  ...{ id: 'r', taskKey: 'k', status: 'RUNNING', startTime: '2026-01-01T00:00:00.000', endTime: null },
  ...{ errorReason: null, replicatedBytes: 0, totalBytes: 0, replicaOverview: null },
}
const counted = (success: number) => ({ success, skip: 2, failed: 0, conflict: 0 })

/** A server that says one thing after the other of the run. */
function serverSaying(records: readonly RecordInfo[]): ServerApi {
  const left = [...records]
  return {
    call: async () => {
      const { links = [], ...record } = left.shift() ?? RUNNING
      return { record, links }
    },
  } as never
}

it('given a terminal, when a run is watched, then the bar follows its bytes and counts to the end', async (t) => {
  const clock = manualClock()
  const err = Object.assign(new PassThrough(), { isTTY: true, columns: 200 })
  const terminal = createTerminal({ input: new PassThrough(), out: new PassThrough(), err }, 'people')
  const server = serverSaying([
    RUNNING,
    { ...RUNNING, replicatedBytes: 1_024, totalBytes: 4_096, replicaOverview: counted(1) },
    { ...RUNNING, status: 'SUCCESS', replicatedBytes: 2_048, totalBytes: 2_048, replicaOverview: counted(3) },
  ])
  const watched = watchRun(server, 'r', terminal, clock, t.signal)
  for (let step = 0; step < 2; step++) {
    await clock.untilSleeping()
    await clock.advance(500)
  }
  assert.equal((await watched).status, 'SUCCESS')
  const drawn = await text(err.end())
  assert.match(drawn, /SUCCESS █+ 2\.0 KiB of 2\.0 KiB, 3 copied, 2 left as they are/)
})

it('given no terminal, when a run is watched, then nothing is drawn and its end is told', async (t) => {
  const err = new PassThrough()
  const terminal = createTerminal({ input: new PassThrough(), out: new PassThrough(), err }, 'people')
  const ended = { ...RUNNING, status: 'FAILED' as const, errorReason: 'beta: away' }
  const watched = await watchRun(serverSaying([ended]), 'r', terminal, manualClock(), t.signal)
  assert.deepEqual(watched, { ...ended, links: [] })
  assert.equal(err.read(), null)
})

it('given a run that is watched, when the watching is ended, then it says that the run goes on', async () => {
  const err = new PassThrough()
  const terminal = createTerminal({ input: new PassThrough(), out: new PassThrough(), err }, 'people')
  const clock = manualClock()
  const stop = new AbortController()
  const watched = watchRun(serverSaying([RUNNING]), 'r', terminal, clock, stop.signal)
  await clock.untilSleeping()
  stop.abort()
  await assert.rejects(watched)
  assert.match(await text(err.end()), /The run goes on; .*entrepot record watch r\n/)
})

it('given a run whose target does not answer, when it is watched, then what it waits for is told once, and shown', async (t) => {
  const err = new PassThrough()
  const terminal = createTerminal({ input: new PassThrough(), out: new PassThrough(), err }, 'people')
  const clock = manualClock()
  const down = {
    remoteCluster: 'beta',
    localRepoName: 'files',
    reason: 'ECONNREFUSED',
    downSince: '2026-01-01T00:00:01.000',
  }
  const waiting = { ...RUNNING, links: [down] }
  assert.ok(
    recordLines(waiting).some((line) => /^waits for: +beta \(files\): ECONNREFUSED, no answer since/.test(line)),
  )
  const server = serverSaying([waiting, waiting, { ...RUNNING, status: 'SUCCESS' }])
  const watched = watchRun(server, 'r', terminal, clock, t.signal)
  for (let step = 0; step < 2; step++) {
    await clock.untilSleeping()
    await clock.advance(500)
  }
  await watched
  const told = (await text(err.end())).split('\n').filter((line) => line.startsWith('Waits for beta (files)'))
  assert.equal(told.length, 1)
})
