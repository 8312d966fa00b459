import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Type } from 'typebox'
import { AS_ADMIN, AS_ANN, edge } from '../../test/helpers/edge.ts'
import { AppError, type ErrorCode } from '../core/errors.ts'
import { answers, ok } from './envelope.ts'
import { healthRoutes } from './health.ts'
import { metricsRoutes } from './metrics.ts'
import { PAGE_FIELDS, pageOf, toPage } from './paging.ts'
import { documented } from './request-validation.ts'
import type { Access, Routes } from './route.ts'

const open = { access: 'PUBLIC' } as const

const Body = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 5 }),
  count: Type.Optional(Type.Integer({ minimum: 2 })),
  enabled: Type.Optional(Type.Boolean()),
  kind: Type.Optional(Type.Union([Type.Literal('A'), Type.Literal('B')])),
  list: Type.Optional(Type.Array(Type.Object({ id: Type.String() }), { minItems: 1 })),
})
const Query = Type.Object({
  ...PAGE_FIELDS,
  on: Type.Optional(Type.Boolean()),
  kind: Type.Optional(Type.Union([Type.Literal('A'), Type.Literal('B')])),
})
const routes: Routes = async (app) => {
  app.post('/body', { schema: { body: Body }, config: open }, async ({ body }) => ok(body))
  app.post('/any', { schema: { body: documented(Body) }, config: open }, async ({ body }) => ok(body))
  app.get('/page', { schema: { querystring: Query }, config: open }, async ({ query }) =>
    ok(toPage({ ...pageOf(query), totalRecords: 41, records: [1, 2] }, (n) => n * 2)),
  )
  app.get('/path/:projectId/*', { config: open }, async ({ params }) => ok(params))
  app.get('/nothing', { schema: { response: answers(Type.Null()) }, config: open }, async () => ok(undefined))
  const fail = (code: ErrorCode) => async () => {
    throw new AppError(code, `it is ${code}`)
  }
  app.get('/replication/api/fail/:code', { config: open }, async ({ params }) =>
    fail((params as { code: ErrorCode }).code)(),
  )
  app.get('/fail/:code', { config: open }, async ({ params }) => fail((params as { code: ErrorCode }).code)())
  app.get('/sync/fail/:code', { config: open }, async ({ params }) => fail((params as { code: ErrorCode }).code)())
  app.get('/defect', { config: open }, async () => {
    throw new TypeError('cannot read password of undefined')
  })
}
const start = () => edge(() => [routes])

describe('the envelope', () => {
  it('given a success without data, when answered, then all four keys are there and the trace id is the header', async () => {
    await using e = await start()
    const answer = await e.app.inject('/nothing')
    const { traceId, ...rest } = answer.json()
    assert.deepEqual(rest, { code: 0, message: null, data: null })
    assert.match(traceId, /^[0-9a-f]{32}$/)
    assert.equal(answer.headers['x-trace-id'], traceId)
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
    assert.equal(answer.headers['x-bkrepo-time-zone'], '+00:00')
  })

  it('given a traceparent, when answered, then its trace id is used; given a malformed one, then a new one is', async () => {
    await using e = await start()
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
    const traced = async (traceparent: string) =>
      (await e.app.inject({ url: '/nothing', headers: { traceparent } })).json().traceId as string
    assert.equal(await traced(`00-${trace}-00f067aa0ba902b7-01`), trace)
    assert.equal(await traced(`01-${trace}-00f067aa0ba902b7-01-more`), trace)
    for (const bad of [
      trace,
      `ff-${trace}-00f067aa0ba902b7-01`,
      `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
      '"><script>',
    ]) {
      assert.notEqual(await traced(bad), trace, bad)
    }
  })

  const errors: readonly [string, number, number][] = [
    ['/fail/RESOURCE_NOT_FOUND', 404, 250108],
    ['/replication/api/fail/RESOURCE_NOT_FOUND', 400, 250108],
    ['/fail/REPOSITORY_EXISTED', 400, 251007],
    ['/replication/api/fail/REPOSITORY_EXISTED', 409, 251007],
    ['/sync/fail/REPOSITORY_EXISTED', 409, 251007],
    ['/sync/fail/FENCED', 409, 250350],
    ['/fail/OPTION_NOT_BUILT', 400, 250112],
    ['/fail/TASK_NOT_FOUND', 400, 250310],
    ['/fail/NODE_NOT_FOUND', 404, 251010],
    ['/fail/RANGE_INVALID', 416, 250120],
    ['/fail/TOO_MANY_REQUESTS', 429, 250124],
  ]
  it('given an expected failure, when answered, then code and status are those of the table for that part of the API', async () => {
    await using e = await start()
    for (const [url, status, code] of errors) {
      const answer = await e.app.inject(url)
      assert.deepEqual([answer.statusCode, answer.json().code, answer.json().data], [status, code, null], url)
    }
  })

  it('given a defect, when answered, then the cause is in the log under the trace id and hidden from the client', async () => {
    await using e = await start()
    const answer = await e.app.inject('/defect')
    const { code, message, traceId } = answer.json()
    assert.deepEqual([answer.statusCode, code], [500, 250102])
    assert.equal(message.includes('undefined'), false)
    assert.ok(message.includes(traceId))
    const logged = e.log.find((line) => line.level === 50)
    assert.equal(logged?.traceId, traceId)
    assert.match(JSON.stringify(logged), /cannot read password of undefined/)
  })

  it('given an unknown URL, when called, then 404; given a wrong method, then 405 and Allow', async () => {
    await using e = await start()
    const unknown = await e.app.inject('/nope?token=hunter2')
    assert.deepEqual([unknown.statusCode, unknown.json().code], [404, 250130])
    assert.equal(unknown.body.includes('hunter2'), false)
    const wrong = await e.app.inject({ method: 'DELETE', url: '/path/p/a/b' })
    assert.deepEqual([wrong.statusCode, wrong.json().code, wrong.headers.allow], [405, 250112, 'GET, HEAD'])
  })
})

describe('request bodies', () => {
  const cases: readonly [string, string | Buffer, number, number, string][] = [
    ['no JSON', '{"name":', 400, 250106, 'not JSON'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400, 250106, 'not UTF-8'],
    ['an array', '[]', 400, 250106, 'object'],
    ['null', 'null', 400, 250106, 'object'],
    ['nothing', '', 400, 250106, 'object'],
    ['a missing field', '{}', 400, 250103, '[name]'],
    ['null for a required field', '{"name":null}', 400, 250103, '[name]'],
    ['an empty field', '{"name":""}', 400, 250104, '[name]'],
    ['a long field', '{"name":"abcdef"}', 400, 250105, '[name]'],
    ['a wrong type', '{"name":1}', 400, 250106, '[name]'],
    ['text for a number', '{"name":"a","count":"2"}', 400, 250106, '[count]'],
    ['a fraction', '{"name":"a","count":2.5}', 400, 250106, '[count]'],
    ['a number out of range', '{"name":"a","count":1}', 400, 250105, '[count]'],
    ['an unknown enum', '{"name":"a","kind":"C"}', 400, 250106, '[kind] must be one of A, B'],
    ['an empty list', '{"name":"a","list":[]}', 400, 250104, '[list]'],
    ['a wrong field deep inside', '{"name":"a","list":[{"id":"x"},{"id":3}]}', 400, 250106, '[list[1].id]'],
    ['a missing field deep inside', '{"name":"a","list":[{}]}', 400, 250103, '[list[0].id]'],
    ['NUL', '{"name":"a\\u0000"}', 400, 250105, '[name]'],
    ['half a surrogate pair', '{"name":"\\ud800"}', 400, 250105, '[name]'],
    ['__proto__', '{"name":"a","\\u005f_proto__":{}}', 400, 250106, '__proto__'],
    ['several faults', '{"kind":"C"}', 400, 250103, '[name]'],
    ['more than 10 MiB', `{"name":"${'x'.repeat(10 * 1024 * 1024)}"}`, 413, 250106, 'bytes'],
  ]
  it('given bad bodies, when sent, then each is refused with its code and names the field', async () => {
    await using e = await start()
    for (const [title, payload, status, code, text] of cases) {
      const answer = await e.app.inject({
        method: 'POST',
        url: '/body',
        payload,
        headers: { 'content-type': 'application/json' },
      })
      assert.deepEqual(
        [answer.statusCode, answer.json().code],
        [status, code],
        `${title}: ${answer.body.slice(0, 200)}`,
      )
      assert.ok(answer.json().message.includes(text), `${title}: ${answer.json().message}`)
    }
  })

  it('given unknown fields and null for optional ones, when sent, then they are ignored', async () => {
    await using e = await start()
    const answer = await e.app.inject({
      method: 'POST',
      url: '/body',
      payload: { name: 'a', count: null, list: null, other: null },
    })
    assert.deepEqual(answer.json().data, { name: 'a', other: null })
  })

  it("given a body whose rules are a use case's, when sent, then it arrives as it is", async () => {
    await using e = await start()
    const answer = await e.app.inject({ method: 'POST', url: '/any', payload: { name: 1, count: null } })
    assert.deepEqual(answer.json().data, { name: 1, count: null })
  })

  it('given another content type or none, when a body is sent, then 415', async () => {
    await using e = await start()
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'nonsense']) {
      const answer = await e.app.inject({
        method: 'POST',
        url: '/body',
        payload: 'a=1',
        headers: { 'content-type': type },
      })
      assert.deepEqual([answer.statusCode, answer.json().code], [415, 250119], type)
    }
    for (const type of ['application/json;charset=utf-8', 'APPLICATION/JSON', 'application/merge-patch+json']) {
      const answer = await e.app.inject({
        method: 'POST',
        url: '/body',
        payload: '{"name":"a"}',
        headers: { 'content-type': type },
      })
      assert.equal(answer.statusCode, 200, type)
    }
  })
})

describe('the media type that a client accepts', () => {
  const call = async (url: string, accept: string) => {
    await using e = await start()
    const answer = await e.app.inject({ url, headers: { accept } })
    return [answer.statusCode, answer.json().code]
  }
  const PAGE = '/replication/api/fail/USER_NOT_FOUND'
  for (const accept of ['text/html', 'application/xml, image/*', 'application/json;q=0', 'text/html, */*;q=0.0']) {
    it(`given [${accept}], when a management call is made, then 406, and elsewhere it does not matter`, async () => {
      assert.deepEqual(await call(PAGE, accept), [406, 250123])
      assert.deepEqual(await call('/nothing', accept), [200, 0])
    })
  }
  for (const accept of [
    '',
    '*/*',
    'text/html, */*;q=0.8',
    'Application/*',
    'application/problem+json',
    'text/x;q=0, *',
  ]) {
    it(`given [${accept}], when a management call is made, then it is done`, async () => {
      assert.deepEqual(await call(PAGE, accept), [400, 250202])
    })
  }
})

describe('queries', () => {
  const pages: readonly [string, number, number][] = [
    ['', 1, 20],
    ['?pageNumber=3&pageSize=7', 3, 7],
    ['?page=3&size=7', 3, 7],
    ['?current=3&limit=7', 3, 7],
    ['?pageNumber=0&pageSize=0', 1, 20],
    ['?pageNumber=-5&pageSize=-1', 1, 20],
    ['?pageSize=1000000000', 1, 1000],
    ['?pageNumber=99999999999999999999', 1_000_000_000, 20],
    ['?pageNumber=&pageSize=', 1, 20],
  ]
  it('given paging in any of its forms, when listed, then the values used are echoed', async () => {
    await using e = await start()
    for (const [query, pageNumber, pageSize] of pages) {
      const { data } = (await e.app.inject(`/page${query}`)).json()
      const totalPages = Math.ceil(41 / pageSize)
      const expected = {
        pageNumber,
        pageSize,
        totalRecords: 41,
        totalPages,
        records: [2, 4],
        count: 41,
        page: pageNumber,
      }
      assert.deepEqual(data, expected, query)
    }
  })

  it('given a query that is no number, no enum or repeated, when listed, then 250131 names it', async () => {
    await using e = await start()
    for (const query of ['pageNumber=abc', 'pageSize=1e999', 'limit=1&limit=2', 'on=yes', 'kind=C']) {
      const answer = await e.app.inject(`/page?${query}`)
      const { code, message } = answer.json()
      assert.deepEqual([answer.statusCode, code], [400, 250131], query)
      assert.ok(message.includes(`[${query.split('=')[0]}]`), message)
    }
  })
})

describe('access', () => {
  const guarded: Routes = async (app) => {
    const route = (url: string, access: Access) =>
      app.get(url, { config: { access } }, async (request) => ok(request.principal.userId))
    route('/public', 'PUBLIC')
    route('/users', 'AUTHENTICATED')
    route('/admins', 'ADMIN')
    route('/clusters', 'REPLICATION_READ')
    route('/read/:projectId/:repoName', { repo: 'READ' })
    route('/write/:projectId/:repoName/*', { repo: 'WRITE' })
    app.post('/copy', { config: { access: 'AUTHENTICATED' } }, async (request) => {
      await request.authorise('WRITE', { projectId: 'p', repoName: 'open' })
      return ok(true)
    })
  }
  const AS_MALLORY = { authorization: `Basic ${Buffer.from('mallory:x').toString('base64')}` }
  const cases: readonly [string, number, number, number, number][] = [
    // path, nobody, wrong credentials, a user, an administrator
    ['/public', 200, 200, 200, 200],
    ['/users', 401, 401, 200, 200],
    ['/admins', 401, 401, 403, 200],
    ['/clusters', 401, 401, 403, 200],
    ['/read/p/open', 200, 401, 200, 200],
    ['/read/p/closed', 401, 401, 403, 200],
    ['/read/p/absent', 401, 401, 403, 200],
    ['/write/p/open/x', 401, 401, 403, 200],
  ]
  it('given each kind of route and caller, when called, then the answer is that of the table', async () => {
    await using e = await edge(() => [guarded])
    for (const [url, ...expected] of cases) {
      const statuses = []
      for (const headers of [{}, AS_MALLORY, AS_ANN, AS_ADMIN])
        statuses.push((await e.app.inject({ url, headers })).statusCode)
      assert.deepEqual(statuses, expected, url)
    }
  })

  it('given no credentials, when they are needed, then 250114 and a challenge; given too few rights, then 250113', async () => {
    await using e = await edge(() => [guarded])
    const login = await e.app.inject('/admins')
    assert.equal(login.json().code, 250114)
    assert.match(String(login.headers['www-authenticate']), /^Basic realm="Entrepot"/)
    const denied = await e.app.inject({ url: '/admins', headers: AS_ANN })
    assert.equal(denied.json().code, 250113)
    assert.equal(denied.headers['www-authenticate'], undefined)
  })

  it('given a repository that only the body names, when a handler authorises, then the same rules hold', async () => {
    await using e = await edge(() => [guarded])
    const copy = (headers: object) => e.app.inject({ method: 'POST', url: '/copy', headers: { ...headers } })
    assert.deepEqual([(await copy(AS_ANN)).statusCode, (await copy(AS_ADMIN)).statusCode], [403, 200])
  })

  it('given a page of another site, when it makes a browser change something, then it is refused, and reading is not', async () => {
    await using e = await edge(() => [guarded])
    const from = (site: string) => ({ ...AS_ADMIN, 'sec-fetch-site': site })
    const copy = (site: string) => e.app.inject({ method: 'POST', url: '/copy', headers: from(site) })
    assert.deepEqual([(await copy('cross-site')).statusCode, (await copy('same-origin')).statusCode], [403, 200])
    assert.equal((await e.app.inject({ url: '/admins', headers: from('cross-site') })).statusCode, 200)
  })

  it('given a route without access, or one for a repository that its URL does not name, when started, then it fails', async () => {
    const silent: Routes = async (app) => void app.get('/silent', async () => ok(1))
    await assert.rejects(
      edge(() => [silent]),
      /without config\.access: .*\/silent/,
    )
    const nameless: Routes = async (app) =>
      void app.get('/x/:projectId', { config: { access: { repo: 'READ' } } }, async () => ok(1))
    await assert.rejects(
      edge(() => [nameless]),
      /\/x\/:projectId/,
    )
  })

  it('given a control character in a named part of the URL, when called, then it is refused before anything is looked up', async () => {
    await using e = await edge(() => [guarded])
    const answer = await e.app.inject({ url: '/read/p%00/open', headers: AS_ADMIN })
    assert.deepEqual([answer.statusCode, answer.json().code], [400, 250105])
  })
})

describe('operations', () => {
  it('given checks that pass, fail or throw, when readiness is asked, then 503 names those that fail', async () => {
    let broken = true
    const checks = {
      database: async () => {},
      blobs: async () => {
        if (broken) throw new Error('disk is gone')
      },
    }
    await using e = await edge(() => [healthRoutes({ checks })])
    const down = await e.app.inject('/health/ready')
    assert.deepEqual([down.statusCode, down.json()], [503, { status: 'DOWN', failing: ['blobs'] }])
    assert.equal((await e.app.inject('/health/live')).statusCode, 200)
    broken = false
    assert.deepEqual((await e.app.inject('/health/ready')).json(), { status: 'UP', failing: [] })
    assert.equal((await e.app.inject({ method: 'HEAD', url: '/health/ready' })).statusCode, 200)
  })

  it('given traffic, runs and samples, when metrics are scraped, then all are there', async () => {
    const samplers = {
      wantingBlobs: async () => ({}),
      segments: async () => ({ segments: 0, bytes: 0, deadBytes: 0 }),
      backups: async () => [
        {
          name: 'nightly',
          type: 'DATA_BACKUP',
          lastResult: 'PARTIAL',
          lastProgress: '{"bytes":5}',
          lastSuccessAt: 7000,
        },
      ],
      queueDepth: async () => 3,
      liveLinks: async () => new Map([['LIVE', 2]]),
      replicationLagMs: async () => new Map([['shanghai', 1500]]),
    }
    await using e = await edge((metrics) => [routes, metricsRoutes({ metrics, access: 'PUBLIC' })], { samplers })
    await e.app.inject('/path/p/a')
    await e.app.inject('/path/p/b')
    e.metrics.runEnded('SUCCESS')
    e.metrics.artifacts('SKIPPED', 7)
    e.metrics.replicatedBytes(1000)
    const answer = await e.app.inject('/metrics')
    assert.match(String(answer.headers['content-type']), /^text\/plain/)
    for (const line of [
      'entrepot_http_requests_total{method="GET",route="/path/:projectId/*",status="200"} 2',
      'entrepot_http_request_duration_seconds_count{method="GET",route="/path/:projectId/*"} 2',
      'entrepot_runs_total{status="SUCCESS"} 1',
      'entrepot_artifacts_total{result="SKIPPED"} 7',
      'entrepot_replicated_bytes_total 1000',
      'entrepot_queue_depth 3',
      'entrepot_replication_lag_seconds{cluster="shanghai"} 1.5',
      'entrepot_live_links{state="LIVE"} 2',
      'entrepot_backup_last_success_timestamp_seconds{task="nightly",type="DATA_BACKUP"} 7',
      'entrepot_backup_last_result{task="nightly",type="DATA_BACKUP",result="PARTIAL"} 1',
      'entrepot_backup_last_bytes{task="nightly",type="DATA_BACKUP"} 5',
    ]) {
      assert.ok(answer.body.includes(`${line}\n`), line)
    }
  })

  it('given metrics for administrators, when anybody scrapes, then it is refused', async () => {
    await using e = await edge((metrics) => [metricsRoutes({ metrics, access: 'ADMIN' })])
    assert.equal((await e.app.inject('/metrics')).statusCode, 401)
    assert.equal((await e.app.inject({ url: '/metrics', headers: AS_ADMIN })).statusCode, 200)
  })

  it('given the routes, when the API document is read, then it is OpenAPI 3.1 with their schemas and access', async () => {
    await using e = await start()
    const document = (await e.app.inject('/openapi.json')).json()
    assert.match(document.openapi, /^3\.1\./)
    const { post } = document.paths['/body']
    assert.deepEqual(post.requestBody.content['application/json'].schema.required, ['name'])
    assert.equal(document.paths['/docs/'], undefined)
  })

  it('given the page of the API, when it is opened, then all that it loads comes from this server', async () => {
    await using e = await start()
    const page = await e.app.inject('/docs/')
    assert.equal(page.statusCode, 200)
    const policy = String(page.headers['content-security-policy'])
    assert.match(policy, /default-src 'self'/)
    assert.equal(/https|upgrade|swagger\.io/.test(policy), false, policy)
    const files = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!)
    assert.ok(files.length > 3)
    for (const file of files) {
      assert.ok(file.startsWith('./static/'), file)
      assert.equal((await e.app.inject(`/docs/${file.slice(2)}`)).statusCode, 200, file)
    }
  })

  it('given secrets in what is logged, when written, then they are masked', async () => {
    await using e = await start()
    e.app.log.info({ password: 'hunter2', body: { token: 'hunter2', deep: { secretKey: 'hunter2' } } }, 'x')
    assert.equal(JSON.stringify(e.log).includes('hunter2'), false)
  })
})
