import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { backUp, repositoryLayout } from '../helpers/backup-repositories.ts'
import { sampleBackup } from '../helpers/backup-tasks.ts'
import { until } from '../helpers/edge-calls.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { createRepository, type Page } from '../helpers/replication-calls.ts'
import { tempDir } from '../helpers/temp.ts'

const PREFIXES = ['/job/api/job/backup', '/api/job/backup']
const [PATH = ''] = PREFIXES

interface TaskInfo {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly type: string
  readonly result: string | null
  readonly errorReason: string | null
  readonly artifactLocation: string | null
  readonly startDate: string | null
  readonly endDate: string | null
  readonly storeLocation: string
  readonly content: object
  readonly backupSetting: Readonly<Record<string, unknown>>
  readonly progress: Readonly<Record<string, unknown>> | null
  readonly report?: Readonly<Record<string, unknown>> | null
}

interface Site extends AsyncDisposable {
  readonly cluster: LocalCluster
  readonly root: string
  create(change?: object, prefix?: string): Promise<string>
  get(id: string): Promise<TaskInfo>
  page(query?: string): Promise<Page<TaskInfo> & { readonly count: number; readonly page: number }>
  execute(id: string): Promise<TaskInfo>
  /** Reads all of it. */
  verify(location: string): Promise<TaskInfo>
  /** Status and code of any call. */
  answer(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<[number, number, string]>
}

async function site(
  dialect: TestDialect,
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<Site> {
  await using started = new AsyncDisposableStack()
  const dir = started.use(await tempDir())
  const root = dir.file('root')
  await mkdir(root)
  const settings = { ENTREPOT_BACKUP_ALLOWED_ROOTS: root, ENTREPOT_BACKUP_USAGE_THRESHOLD: '1', ...env }
  const cluster = started.use(await startCluster({ name: 'center', dialect, env: settings }))
  const { api } = cluster
  let made = 0
  const get = (id: string) => api.call<TaskInfo>('GET', `${PATH}/task/${id}`, undefined, signal)
  const held = started.move()
  return {
    cluster,
    root,
    get,
    create: (change = {}, prefix = PATH) =>
      api.call('POST', prefix, { ...sampleBackup(`task-${++made}`), ...change }, signal),
    page: (query = '') => api.call('GET', `${PATH}/tasks?${query}`, undefined, signal),
    async execute(id) {
      assert.equal(await api.call('POST', `${PATH}/execute/${id}?wait=60`, undefined, signal), null)
      return get(id)
    },
    async verify(location) {
      const body = { location, readDataPercent: 100 }
      return get(await api.call('POST', `${PATH}/verify?wait=60`, body, signal))
    },
    async answer(method, path, body, headers = { authorization: api.authorization }) {
      const content = body === undefined ? {} : { 'content-type': 'application/json' }
      const answered = await fetch(cluster.url + path, {
        ...{ method, signal, headers: { ...headers, ...content } },
        body: body === undefined ? null : JSON.stringify(body),
      })
      const { code, message } = (await answered.json()) as { code: number; message: string }
      return [answered.status, code, message]
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

eachDialect('tasks of backup', (dialect) => {
  it('case 1: given the body of the contract, when it is sent to each prefix, then it waits with its defaults as the contract shows them', async (t) => {
    await using at = await site(dialect, t.signal)
    for (const prefix of PREFIXES) {
      const id = await at.create({ content: { projects: [{ projectRegex: '*' }] } }, prefix)
      assert.match(id, /^[0-9a-f]{24}$/)
      const { records } = await at.page('pageSize=1')
      const { name, progress, ...task } = records[0]!
      assert.equal(task.id, id)
      assert.deepEqual([task.state, task.startDate, task.endDate, progress], ['PENDING', null, null, null])
      assert.deepEqual(task.content, {
        commonData: false,
        compression: false,
        projects: [
          {
            ...{ projectId: null, projectRegex: '*', repoList: null, repoRegex: null },
            ...{ excludeProjects: null, excludeRepos: null },
          },
        ],
        increment: null,
        incrementDate: null,
      })
      const { conflictStrategy, errorStrategy, executionStrategy, executionPlan, spaceCapCheck } = task.backupSetting
      assert.deepEqual(
        { conflictStrategy, errorStrategy, executionStrategy, executionPlan, spaceCapCheck },
        {
          ...{ conflictStrategy: 'OVERWRITE', errorStrategy: 'CONTINUE', executionStrategy: 'IMMEDIATELY' },
          executionPlan: { executeImmediately: true, executeTime: null, cronExpression: null },
          spaceCapCheck: true,
        },
      )
    }
  })

  it('case 2: given whoever is no administrator, when any call comes, then it is refused, and a wrong method is told', async (t) => {
    await using at = await site(dialect, t.signal)
    const user = { userId: 'ann', name: 'ann', pwd: 'a long password', admin: false }
    await at.cluster.api.call('POST', '/auth/api/user/create', user, t.signal)
    const authorization = `Basic ${Buffer.from('ann:a long password').toString('base64')}`
    for (const [method, path] of [
      ['POST', ''],
      ['POST', '/execute/x'],
      ['GET', '/tasks'],
      ['GET', '/task/x'],
      ['GET', '/runs/x'],
      ['POST', '/cancel/x'],
      ['POST', '/verify'],
      ['DELETE', '/x'],
    ] as const) {
      for (const prefix of PREFIXES) {
        const url = prefix + path
        assert.deepEqual((await at.answer(method, url, undefined, { authorization })).slice(0, 2), [403, 250113], url)
        assert.equal((await at.answer(method, url, undefined, {}))[0], 401, url)
      }
    }
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/execute/x'],
      ['PUT', '/task/x'],
      ['DELETE', '/tasks'],
      ['GET', '/verify'],
    ] as const) {
      assert.deepEqual((await at.answer(method, PATH + path)).slice(0, 2), [405, 250112], `${method} ${path}`)
    }
  })

  it('cases 3, 5, 6, 7 and 9: given faults, when they come, then each is 400 with its code and field, and nothing is stored', async (t) => {
    await using at = await site(dialect, t.signal)
    await symlink('/tmp', join(at.root, 'leaving'))
    const body = sampleBackup('test')
    for (const [change, code, field] of [
      [{ content: undefined }, 250105, 'content'],
      [{ content: { projects: [] } }, 250105, 'content'],
      [{ type: 'X' }, 250105, 'type'],
      [{ backupSetting: { conflictStrategy: 'FAST_FAIL' } }, 250106, 'conflictStrategy'],
      [{ content: { ...body.content, incrementDate: 'yesterday' } }, 250105, 'incrementDate'],
      [{ content: { projects: [{ projectRegex: '(' }] } }, 250105, 'projectRegex'],
      [{ storeLocation: '/etc' }, 250105, 'storeLocation'],
      [{ storeLocation: '../x' }, 250105, 'storeLocation'],
      [{ storeLocation: `${at.root}/../x` }, 250105, 'storeLocation'],
      [{ storeLocation: 'leaving/x' }, 250105, 'storeLocation'],
      [{ storeLocation: 'F:\\b' }, 250105, 'storeLocation'],
      [{ storeLocation: 'a\u0000' }, 250105, 'storeLocation'],
      [{ name: '../evil' }, 250105, 'name'],
      [{ name: 'CON' }, 250105, 'name'],
      [{ name: 'n'.repeat(65) }, 250105, 'name'],
      [{ name: '' }, 250105, 'name'],
    ] as const) {
      const [status, answered, message] = await at.answer('POST', PATH, { ...body, ...change })
      assert.deepEqual([status, answered], [400, code], message)
      assert.ok(message.includes(field), message)
    }
    for (const [method, path] of [
      ['POST', '/execute/none'],
      ['GET', '/task/none'],
      ['DELETE', '/none'],
    ] as const) {
      const [status, code, message] = await at.answer(method, PATH + path)
      assert.deepEqual([status, code, message.includes('taskId')], [400, 250105, true])
    }
    assert.deepEqual((await at.answer('GET', `${PATH}/tasks?state=DONE`)).slice(0, 2), [400, 250105])
    assert.equal((await at.page()).totalRecords, 0)
    assert.deepEqual(await readdir(at.root), ['leaving'])
  })

  it('cases 8 and 9: given a PENDING task, when it is executed twice at once, then one run is made, and afterwards state is refused', async (t) => {
    await using at = await site(dialect, t.signal)
    await createRepository(at.cluster.api, 'proj/files', t.signal)
    const content = { projects: [{ projectId: 'proj' }] }
    const id = await at.create({ name: 'twice', storeLocation: 'made/here', content })
    const answers = await Promise.all([1, 2].map(() => at.answer('POST', `${PATH}/execute/${id}?wait=60`)))
    assert.deepEqual(answers.map(([, code]) => code).sort(), [0, 250105])
    assert.ok(answers.some(([, , message]) => message?.includes('state')))
    const task = await at.get(id)
    assert.deepEqual([task.state, task.result], ['FINISHED', 'SUCCESS'], task.errorReason ?? '')
    const runs = await readdir(join(at.root, 'made/here/twice'))
    assert.deepEqual([`${at.root}/made/here/twice/${runs[0]}`, runs.length], [task.artifactLocation, 1])
    assert.deepEqual((await at.answer('POST', `${PATH}/execute/${id}`)).slice(0, 2), [400, 250105])
  })

  it('case 10: given 7 tasks, when they are listed, then pages, counts and the filter are those of the contract', async (t) => {
    await using at = await site(dialect, t.signal)
    const ids: string[] = []
    for (let made = 0; made < 7; made++) ids.push(await at.create())
    const { records, ...page } = await at.page('pageSize=1&pageNumber=1')
    assert.deepEqual(page, { pageNumber: 1, pageSize: 1, totalRecords: 7, totalPages: 7, count: 7, page: 1 })
    assert.equal(records[0]?.id, ids[6])
    assert.equal((await at.page('pageNumber=0')).pageNumber, 1)
    assert.equal((await at.page('state=FINISHED')).totalRecords, 0)
    assert.equal((await at.page('state=PENDING')).totalRecords, 7)
    await at.cluster.api.call('DELETE', `${PATH}/${ids[0]}`, undefined, t.signal)
    assert.equal((await at.page()).totalRecords, 6)
  })

  it('case 4: given common data and no projects, when it runs, then its files are there and no repository', async (t) => {
    await using at = await site(dialect, t.signal)
    await createRepository(at.cluster.api, 'proj/files', t.signal)
    const task = await at.execute(await at.create({ name: 'common', content: { commonData: true } }))
    assert.deepEqual([task.state, task.result], ['FINISHED', 'SUCCESS'], task.errorReason ?? '')
    const files = await readdir(task.artifactLocation!)
    for (const name of ['user', 'role', 'temporary_token', 'permission', 'account'])
      assert.ok(files.includes(`${name}.json`), name)
    assert.ok(files.includes('manifest.json') && !files.includes('proj'))
    assert.equal((await stat(task.artifactLocation!)).mode & 0o777, 0o700)
  })

  it('given a file, when it is backed up, lost and restored, then it is there again, and audit log and metrics tell of it', async (t) => {
    await using at = await site(dialect, t.signal)
    const { api } = at.cluster
    await createRepository(api, 'proj/files', t.signal)
    await api.upload('proj/files', '/a.txt', Buffer.from('hello'), {}, t.signal)
    const content = { projects: [{ projectRegex: 'pro*' }] }
    const made = await at.execute(await at.create({ name: 'nightly', content }))
    assert.deepEqual([made.result, made.progress?.bytes], ['SUCCESS', 5], made.errorReason ?? '')
    const digest = createHash('sha256').update('hello').digest('hex')
    const stored = join(made.artifactLocation!, 'bk+store', digest.slice(0, 2), digest.slice(2, 4), digest)
    assert.equal(await readFile(stored, 'utf8'), 'hello')

    await api.call('DELETE', '/repository/api/node/delete/proj/files/a.txt', undefined, t.signal)
    const body = { name: 'back', type: 'DATA_RESTORE', storeLocation: made.artifactLocation, content }
    const restored = await at.execute(await at.create(body))
    assert.deepEqual([restored.state, restored.result], ['FINISHED', 'SUCCESS'], restored.errorReason ?? '')
    await writeFile(stored, 'jello')
    const damaged = await at.verify(made.artifactLocation!)
    assert.deepEqual([damaged.state, damaged.result, damaged.report?.wrong], ['FINISHED', 'FAILED', 1])
    assert.match(damaged.errorReason!, new RegExp(digest))

    const detail = await api.call<{ sha256: string }>(
      'GET',
      '/repository/api/node/detail/proj/files/a.txt',
      undefined,
      t.signal,
    )
    assert.equal(detail.sha256, digest)

    const metrics = await api.metrics(t.signal)
    assert.match(metrics, /entrepot_backup_last_success_timestamp_seconds\{task="nightly",type="DATA_BACKUP"\} \d+/)
    assert.match(metrics, /entrepot_backup_last_bytes\{task="nightly",type="DATA_BACKUP"\} 5/)
    const rows = await at.cluster.db.read
      .selectFrom('audit_log')
      .select(['action', 'resource', 'outcome'])
      .where('action', 'like', 'POST /job/%')
      .execute()
    assert.deepEqual(
      rows.map(({ action }) => action.slice(PATH.length + 'POST '.length)),
      ['', '/execute/:taskId', '', '/execute/:taskId', '/verify'],
    )
    assert.ok(rows[1]?.resource?.includes(`taskId=${made.id}`) && rows[2]?.resource?.includes('storeLocation='))
  })

  for (const [title, layout, compression, env] of [
    ['a zip', 'FOLDER', true, {}],
    ['a repository', 'REPOSITORY', false, {}],
    ['a repository with a passphrase', 'REPOSITORY', true, { ENTREPOT_BACKUP_PASSPHRASE: 'correct horse battery' }],
  ] as const) {
    it(`given ${title}, when a backup is made twice, lost and restored, then all is there again`, async (t) => {
      await using at = await site(dialect, t.signal, env)
      const { api } = at.cluster
      await createRepository(api, 'proj/files', t.signal)
      await api.upload('proj/files', '/a.txt', Buffer.from('hello'), {}, t.signal)
      const cron = { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: '0 0 0 1 1 ?' } }
      const task = { content: { commonData: true, compression, projects: [{ projectId: 'proj' }] } }
      const id = await at.create({ ...task, backupSetting: { layout, ...cron } })
      for (let run = 1; run <= 2; run++) {
        const made = await at.execute(id)
        assert.deepEqual([made.state, made.result], ['PENDING', 'SUCCESS'], made.errorReason ?? '')
      }
      const runs = await api.call<Page<TaskInfo>>('GET', `${PATH}/runs/${id}`, undefined, t.signal)
      const places = runs.records.map(({ artifactLocation }) => artifactLocation!)
      assert.equal(new Set(places).size, 2)
      const sound = await at.verify(places[0]!)
      assert.deepEqual([sound.type, sound.errorReason, sound.report?.wrong], ['DATA_VERIFY', null, 0])
      assert.ok(Number(sound.report?.objects) > 0)
      await api.call('DELETE', '/repository/api/node/delete/proj/files/a.txt', undefined, t.signal)
      const restore = { ...task, name: 'back', type: 'DATA_RESTORE', storeLocation: places[0] }
      const restored = await at.execute(await at.create(restore))
      assert.deepEqual([restored.state, restored.result], ['FINISHED', 'SUCCESS'], restored.errorReason ?? '')
      await api.call('GET', '/repository/api/node/detail/proj/files/a.txt', undefined, t.signal)
    })
  }

  it('given a folder `repo` that is a link, when a backup goes there, then it is FAILED and nothing is written through it', async (t) => {
    await using at = await site(dialect, t.signal)
    await using outside = await tempDir()
    await mkdir(join(at.root, 't12'))
    await symlink(outside.path, join(at.root, 't12', 'repo'))
    const id = await at.create({ storeLocation: 't12', backupSetting: { layout: 'REPOSITORY' } })
    const { result, errorReason } = await at.execute(id)
    assert.equal(result, 'FAILED')
    assert.match(errorReason!, /repo.* is a link/)
    assert.deepEqual(await readdir(outside.path), [])
  })

  it('given a passphrase, when a snapshot that is not encrypted is restored, then it is refused, but for legacy', async (t) => {
    await using at = await site(dialect, t.signal, { ENTREPOT_BACKUP_PASSPHRASE: 'correct horse battery' })
    await using plain = repositoryLayout({ passphrase: async () => undefined })
    const { path } = await backUp(plain, at.root, { '/a': Buffer.from('forged') })
    const restore = (legacy: boolean) => ({
      ...{ type: 'DATA_RESTORE', storeLocation: path, backupSetting: { legacy } },
      content: { projects: [{ projectRegex: '*' }] },
    })
    const { result, errorReason } = await at.execute(await at.create(restore(false)))
    assert.equal(result, 'FAILED')
    assert.match(errorReason!, /not encrypted.*legacy=true/)
    assert.doesNotMatch(String((await at.execute(await at.create(restore(true)))).errorReason), /not encrypted/)
  })

  it('given tasks of one name that keep the last run, when they end within a second, then what each says it made is there', async (t) => {
    await using at = await site(dialect, t.signal)
    for (const [layout, compression] of [
      ['FOLDER', false],
      ['FOLDER', true],
      ['REPOSITORY', false],
    ] as const) {
      for (let turn = 0; turn < 4; turn++) {
        const id = await at.create({
          ...{ name: 'often', storeLocation: `${layout}-${compression}` },
          content: { projects: [{ projectRegex: '*' }], compression },
          backupSetting: { layout, retention: { keepLast: 1 } },
        })
        const { result, errorReason, artifactLocation } = await at.execute(id)
        assert.equal(result, 'SUCCESS', `${errorReason}`)
        await stat(artifactLocation!)
      }
    }
  })

  it('case 36: given a cron of every second, when seconds pass, then runs come by themselves, one after the other', async (t) => {
    await using at = await site(dialect, t.signal)
    const cron = { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: '* * * * * ?' } }
    const id = await at.create({ content: { commonData: true }, backupSetting: cron })
    const runs = () => at.cluster.api.call<Page<TaskInfo>>('GET', `${PATH}/runs/${id}`, undefined, t.signal)
    const { records } = await until(runs, ({ totalRecords }) => totalRecords >= 3, t.signal)
    const [second, first] = records.slice(-2)
    assert.equal(first?.result, 'SUCCESS', first?.errorReason ?? '')
    assert.ok(second!.startDate! >= first!.endDate!)
    const task = await until(
      () => at.get(id),
      ({ state }) => state === 'PENDING',
      t.signal,
    )
    assert.equal(task.result, 'SUCCESS')
  })

  it('given the API document, when it is read, then content is needed by those alone that move data, and both prefixes are told', async (t) => {
    await using at = await site(dialect, t.signal)
    const answered = await fetch(`${at.cluster.url}/openapi.json`, { signal: t.signal })
    const { paths } = (await answered.json()) as {
      paths: Record<string, { post: { description: string; requestBody: { content: object } } }>
    }
    const { description, requestBody } = paths[PATH]!.post
    assert.match(description, /\/api\/job\/backup/)
    const { schema } = Object.values(requestBody.content)[0] as {
      schema: { required: string[]; properties: Record<string, { description: string; required?: string[] }> }
    }
    assert.deepEqual(schema.required, ['name', 'storeLocation'])
    assert.match(schema.properties.content!.description, /DATA_RESTORE need it/)
    assert.equal(schema.properties.content!.required, undefined)
  })

  it('case 31: given a filesystem above the threshold, when a task checks that, then it is FAILED at once; without the check it runs', async (t) => {
    await using at = await site(dialect, t.signal, { ENTREPOT_BACKUP_USAGE_THRESHOLD: '0' })
    await createRepository(at.cluster.api, 'proj/files', t.signal)
    const content = { projects: [{ projectId: 'proj' }] }
    const failed = await at.execute(await at.create({ content }))
    assert.deepEqual([failed.state, failed.result], ['FINISHED', 'FAILED'])
    assert.match(failed.errorReason!, /disk usage/)
    const made = await at.execute(await at.create({ content, backupSetting: { spaceCapCheck: false } }))
    assert.equal(made.result, 'SUCCESS', made.errorReason ?? '')
  })
})
