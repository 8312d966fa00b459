import type { RecordInfo } from '../src/cli/run-progress.ts'
import type { Api } from '../test/helpers/api.ts'
import * as calls from '../test/helpers/replication-calls.ts'
import { trafficOf } from '../test/helpers/traffic.ts'
import { differencesOf, wrongDownloads } from './compare.ts'
import { generatedFile } from './generated-file.ts'
import { type InputFile, total } from './input.ts'
import type { Narrator } from './narrator.ts'
import { megabytes, progressView, type Terminal } from './progress.ts'
import { detailTable, recordTable } from './record-tables.ts'
import { type SentFile, uploadAll } from './upload.ts'

export interface Stage {
  readonly a: Api
  readonly b: Api
  /** How A reaches B. */
  readonly addressOfB: calls.ClusterAddress
  readonly terminal: Terminal
  readonly narrator: Narrator
}

const REPOSITORY = 'demo/generic-local'
const TASK_NAME = '计划 · demo'
const POLL_MS = 100
const DETAILS_SHOWN = 10
const DOWNLOADS_CHECKED = 80
const CHANGED_BYTES = 1_500_000
/** A run with nothing to do asks two questions and sends no file: with headers and our own scrape it stays far below this. */
const QUIET_BYTES = 50_000

/** Tells the whole story: upload, replicate, compare, again with nothing to do, again with three changes. */
export async function tell(stage: Stage, input: readonly InputFile[], signal: AbortSignal): Promise<void> {
  const { a, narrator } = stage
  narrator.step(`Uploading ${input.length} files (${megabytes(total(input))} MB) to A through the public API`)
  await calls.createRepository(a, REPOSITORY, signal)
  let sent = await upload(stage, input, signal)
  narrator.check(`A has ${sent.length} files, each with the sha256 that we computed ourselves`, true)

  narrator.step('Registering B at A and creating a replication task')
  const clusterId = await calls.registerCluster(a, stage.addressOfB, signal)
  const key = await calls.createTask(a, calls.taskOf(TASK_NAME, REPOSITORY, [clusterId]), signal)
  narrator.say(`Task ${key} replicates ${REPOSITORY} to ${stage.addressOfB.name}; it starts at once.`)
  await firstRun(stage, key, sent, signal)

  narrator.step('Comparing A and B from outside')
  await compare(stage, sent, signal)

  narrator.step('Running the task again, with nothing changed')
  await secondRun(stage, key, sent.length, signal)

  narrator.step('Changing three files at A and running the task once more')
  const changed = threeChanges(sent)
  sent = merge(sent, await upload(stage, changed, signal))
  await thirdRun(stage, key, changed, signal)
  await compare(stage, sent, signal)
}

async function upload(stage: Stage, files: readonly InputFile[], signal: AbortSignal): Promise<SentFile[]> {
  const view = progressView(stage.terminal, () => performance.now())
  const sent = await uploadAll(stage.a, { repository: REPOSITORY, files, onProgress: view.show }, signal)
  const [files_, bytes] = [sent.length, total(files)]
  view.finish({ doneFiles: files_, totalFiles: files_, doneBytes: bytes, totalBytes: bytes })
  return sent
}

async function firstRun(stage: Stage, key: string, sent: readonly SentFile[], signal: AbortSignal): Promise<void> {
  const { a, narrator } = stage
  const totals = { totalFiles: sent.length, totalBytes: total(sent) }
  const view = progressView(stage.terminal, () => performance.now())
  const onProgress = (record: RecordInfo) => {
    const { success = 0, failed = 0, skip = 0 } = record.replicaOverview ?? {}
    const progress = { doneFiles: success + failed + skip, doneBytes: record.replicatedBytes, ...totals }
    if (record.status === 'RUNNING') view.show(progress)
    else view.finish(progress)
  }
  const record = await calls.waitForRun(a, key, { runs: 1, pollMs: POLL_MS, onProgress }, signal)
  const overview = await calls.overviewOf(a, record.id, signal)
  const details = await calls.detailsOf(a, record.id, DETAILS_SHOWN, signal)
  narrator.say(`\n${recordTable(record, overview)}\n`)
  narrator.say(
    `The first ${details.records.length} of ${details.totalRecords} details:\n${detailTable(details.records)}\n`,
  )
  narrator.check('the run ended SUCCESS', record.status === 'SUCCESS', [record.errorReason ?? ''])
  const { success, failed, conflict } = overview
  const counted = success === sent.length && failed === 0 && conflict === 0
  narrator.check(`all ${sent.length} files are counted as success`, counted, [JSON.stringify(overview)])
  narrator.check('each file has a detail', details.totalRecords === sent.length, [`${details.totalRecords} details`])
}

async function compare(stage: Stage, sent: readonly SentFile[], signal: AbortSignal): Promise<void> {
  const { a, b, narrator } = stage
  for (const [name, api] of [
    ['A', a],
    ['B', b],
  ] as const) {
    const differences = await differencesOf(api, REPOSITORY, sent, signal)
    const sentence = `${name} lists ${sent.length} files; every path, size, sha256 and metadata is what we sent`
    narrator.check(sentence, differences.length === 0, differences)
  }
  const odd = sent.filter(({ path }) => !path.startsWith('/packages/'))
  const every = Math.ceil(sent.length / Math.max(1, DOWNLOADS_CHECKED - odd.length))
  const sample = [...odd, ...sent.filter(({ path }, index) => path.startsWith('/packages/') && index % every === 0)]
  const wrong = await wrongDownloads(b, REPOSITORY, sample, signal)
  const sentence = `${sample.length} files downloaded from B (${megabytes(total(sample))} MB) have the right bytes`
  narrator.check(sentence, wrong.length === 0, wrong)
}

async function secondRun(stage: Stage, key: string, files: number, signal: AbortSignal): Promise<void> {
  const { a, b, narrator } = stage
  const before = { a: await trafficOf(a, signal), b: await trafficOf(b, signal) }
  await calls.executeTask(a, key, signal)
  const record = await calls.waitForRun(a, key, { runs: 2, pollMs: POLL_MS }, signal)
  const overview = await calls.overviewOf(a, record.id, signal)
  const after = { a: await trafficOf(a, signal), b: await trafficOf(b, signal) }
  narrator.say(`${recordTable(record, overview)}\n`)
  narrator.check('the run ended SUCCESS', record.status === 'SUCCESS', [record.errorReason ?? ''])
  const nothing = overview.success === 0 && overview.failed === 0 && record.replicatedBytes === 0
  narrator.check(`nothing was sent: ${files} files are as they were`, nothing, [JSON.stringify(overview)])
  const sent = after.a.replicatedBytes - before.a.replicatedBytes
  const requests = after.b.syncRequests - before.b.syncRequests
  const received = after.b.receivedBytes - before.b.receivedBytes
  const sentence = `A sent ${sent} bytes of files; B answered ${requests} requests and received ${received} bytes in all`
  narrator.check(sentence, sent === 0 && received < QUIET_BYTES)
}

async function thirdRun(stage: Stage, key: string, changed: readonly InputFile[], signal: AbortSignal): Promise<void> {
  const { a, narrator } = stage
  await calls.executeTask(a, key, signal)
  const record = await calls.waitForRun(a, key, { runs: 3, pollMs: POLL_MS }, signal)
  const overview = await calls.overviewOf(a, record.id, signal)
  const details = await calls.detailsOf(a, record.id, DETAILS_SHOWN, signal)
  narrator.say(`${recordTable(record, overview)}\n\n${detailTable(details.records)}\n`)
  const travelled = details.records.map(({ artifactName }) => artifactName).sort()
  const expected = changed.map(({ path }) => path).sort()
  const exactly = overview.success === changed.length && travelled.join('\n') === expected.join('\n')
  narrator.check('exactly the three changed files travelled', record.status === 'SUCCESS' && exactly, travelled)
}

/** New bytes and new metadata for a small file, for one under an odd name and for the first file of all. */
function threeChanges(sent: readonly SentFile[]): InputFile[] {
  const odd = sent.find(({ path }) => path.includes('#'))
  const middle = sent[Math.floor(sent.length / 2)]
  return [sent[0], middle, odd].flatMap((file, index) => {
    if (file === undefined) return []
    const content = generatedFile(CHANGED_BYTES + index, index + 1)
    return [{ path: file.path, metadata: { ...file.metadata, changed: 'yes' }, ...content }]
  })
}

function merge(sent: readonly SentFile[], newer: readonly SentFile[]): SentFile[] {
  return [...new Map([...sent, ...newer].map((file) => [file.path, file])).values()]
}
