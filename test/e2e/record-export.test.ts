import assert from 'node:assert/strict'
import { get, request } from 'node:http'
import { it } from 'node:test'
import { digestFromBytes } from '../../src/core/digest.ts'
import { type DetailWrite, putDetails } from '../../src/metadata/replication/record-details.ts'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import type { Detail, Page } from '../helpers/replication-calls.ts'
import { type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const PATH = '/replication/api/task/record/detail/export'

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}
async function fetchText(
  { url, api }: LocalCluster,
  path: string,
  method = 'GET',
  headers: object = {},
): Promise<Answer> {
  const answer = await fetch(`${url}${path}`, { method, headers: { authorization: api.authorization, ...headers } })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

/** Adds details to a record, of the link that it has. */
async function addDetails({ a }: TwoClusters, recordId: string, count: number, of: Partial<DetailWrite> = {}) {
  const link = await a.db.read
    .selectFrom('exec_link')
    .select('link_id')
    .where('record_id', '=', recordId)
    .executeTakeFirstOrThrow()
  for (let at = 0; at < count; at += 2_000) {
    const rows = Array.from({ length: Math.min(2_000, count - at) }, (_, k): DetailWrite => {
      const n = at + k
      return {
        ...{
          id: `a${n.toString(16).padStart(23, '0')}`,
          recordId,
          linkId: link.link_id,
          path: `/more/${n}`,
          attempts: 1,
        },
        ...{
          digest: digestFromBytes(Buffer.alloc(32, n % 256)),
          sizeBytes: n,
          status: n % 10 === 0 ? 'FAILED' : 'SUCCESS',
        },
        ...{ conflictStrategy: null, errorReason: null, executeType: 'FULL', startedAt: Math.floor(n / 3), endedAt: n },
        ...of,
      } as DetailWrite
    })
    await a.db.transact((trx) => putDetails(trx, rows))
  }
}

/** A table of RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]]
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y
  for (let found = field.exec(text); found !== null; found = field.exec(text)) {
    rows.at(-1)!.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '')
    if (found[3] === '\r\n') rows.push([])
  }
  assert.deepEqual(rows.pop(), [])
  return rows
}

eachDialect('details of a record as a file', (dialect) => {
  it('given a run, when its details are exported, then both formats tell what the pages tell, whatever the names', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const names = ['/plain', '/with, comma', '/with "quotes"', '/=1+1', '/ünï-文', '/line\nfeed'].slice(0, 5)
    for (const name of names) await two.put(two.a, name, name)
    const { record } = await two.replicate()
    const { headers, status, text } = await fetchText(two.a, `${PATH}/${record.id}`)
    assert.equal(status, 200)
    assert.equal(headers.get('content-type'), 'application/x-ndjson; charset=utf-8')
    assert.equal(headers.get('content-disposition'), `attachment; filename="record-${record.id}.ndjson"`)
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    const path = `/replication/api/task/record/detail/page/${record.id}`
    const page = await two.a.api.call<{ records: unknown[] }>('GET', path, undefined, t.signal)
    assert.deepEqual(lines, page.records)

    const csv = await fetchText(two.a, `${PATH}/${record.id}?format=csv`, 'GET', { accept: 'text/csv' })
    assert.equal(csv.headers.get('content-type'), 'text/csv; charset=utf-8; header=present')
    const [head, ...rows] = parseCsv(csv.text)
    const column = head!.indexOf('artifactName')
    assert.deepEqual(
      rows.map((row) => row[column]),
      lines.map(({ artifactName }) => artifactName),
    )
    assert.deepEqual(new Set(rows.map((row) => row.length)), new Set([head!.length]))
    const one = await fetchText(
      two.a,
      `${PATH}/${record.id}?format=csv&path=${encodeURIComponent('/with')}&status=success`,
    )
    assert.equal(parseCsv(one.text).length, 3)
  })

  it('given values that a spreadsheet would calculate, when exported as CSV, then they are text', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/1', 'one')
    const { record } = await two.replicate()
    const errorReason = '=cmd|"/C calc"!A0\nsecond, line'
    await addDetails(two, record.id, 1, { errorReason, status: 'FAILED' })
    const { text } = await fetchText(two.a, `${PATH}/${record.id}?format=CSV&status=FAILED`)
    const [head, row] = parseCsv(text)
    assert.equal(row![head!.indexOf('errorReason')], `'${errorReason}`)
  })

  it('given 5,000 details, when exported, filtered or not, then each comes once, newest first', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/1', 'one')
    const { record } = await two.replicate()
    await addDetails(two, record.id, 5_000)
    const { text } = await fetchText(two.a, `${PATH}/${record.id}`)
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; startTime: string })
    assert.equal(new Set(lines.map(({ id }) => id)).size, 5_001)
    assert.equal(lines.length, 5_001)
    const order = (line: { id: string; startTime: string }) => `${line.startTime} ${line.id}`
    assert.deepEqual(lines.map(order), lines.map(order).sort().reverse())
    const failed = await fetchText(two.a, `${PATH}/${record.id}?status=FAILED&clusterName=beta&repoName=files`)
    assert.equal(failed.text.trimEnd().split('\n').length, 500)
    const none = await fetchText(two.a, `${PATH}/${record.id}?clusterName=gamma`)
    assert.deepEqual([none.status, none.text], [200, ''])
  })

  it('case 55: given 100,000 details, when a deep page with filters is asked for, then it is the right one, and the list is capped', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', 'x')
    const { record } = await two.replicate()
    await addDetails(two, record.id, 100_000)
    const ask = (query: string) =>
      two.a.api.call<Page<Detail>>('GET', `/replication/api/task/record/detail/${query}`, undefined, t.signal)
    const filters = 'status=FAILED&path=/more/&clusterName=beta&repoName=files'
    const page = await ask(`page/${record.id}?pageNumber=250&pageSize=20&${filters}`)
    assert.deepEqual([page.totalRecords, page.totalPages], [10_000, 500])
    // Of the newest start first; every tenth of them failed.
    const newest = 99_990 - 249 * 20 * 10
    assert.deepEqual(
      page.records.map(({ artifactName }) => artifactName),
      Array.from({ length: 20 }, (_, n) => `/more/${newest - n * 10}`),
    )
    assert.equal(((await ask(`list/${record.id}`)) as unknown as Detail[]).length, 10_000)
  })

  it('given HEAD, an unknown record or a wrong format, when asked, then the answer says so', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/1', 'one')
    const { record } = await two.replicate()
    const head = await fetchText(two.a, `${PATH}/${record.id}?format=csv`, 'HEAD')
    assert.deepEqual([head.status, head.text], [200, ''])
    assert.match(head.headers.get('content-disposition')!, /\.csv"$/)
    const codeOf = (answer: Answer) => [answer.status, (JSON.parse(answer.text) as { code: number }).code]
    assert.deepEqual(codeOf(await fetchText(two.a, `${PATH}/none`)), [400, 250310])
    assert.deepEqual(codeOf(await fetchText(two.a, `${PATH}/${record.id}?format=xml`)), [400, 250131])
    assert.deepEqual(codeOf(await fetchText(two.a, `${PATH}/${record.id}?status=odd`)), [400, 250131])
    const anonymous = await fetch(`${two.a.url}${PATH}/${record.id}`)
    assert.equal(anonymous.status, 401)
    await anonymous.body?.cancel()
  })

  it('given a client that goes away, when it was sent some, then the rest is not read', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/1', 'one')
    const { record } = await two.replicate()
    await addDetails(two, record.id, 20_000)
    const { url, api } = two.a
    const headers = { authorization: api.authorization }
    await new Promise<void>((resolve, reject) => {
      const call = get(`${url}${PATH}/${record.id}`, { headers, signal: t.signal }, (answer) => {
        answer.once('data', () => {
          answer.destroy()
          resolve()
        })
      })
      call.on('error', reject)
    })
    // The server is as ready as before.
    const again = await new Promise<number>((resolve, reject) => {
      const call = request(`${url}${PATH}/${record.id}?path=/1&status=SUCCESS`, { headers }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
      })
      call.on('error', reject).end()
    })
    assert.equal(again, 200)
  })
})
