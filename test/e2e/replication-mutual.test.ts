import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import {
  createRepository,
  executeTask,
  listFiles,
  registerCluster,
  taskOf,
  waitForRun,
} from '../helpers/replication-calls.ts'
import { REPO } from '../helpers/two-clusters.ts'

const POLL_MS = 10

eachDialect('clusters that replicate to each other', (dialect) => {
  it('given mutual tasks with OVERWRITE and files that both changed, when they run in turns, then both have the later states and nothing is written any more', async (t) => {
    await using ring = await clusters(dialect, ['alpha', 'beta'], t.signal)
    const [a, b] = ring.all as [Member, Member]
    const both = { conflictStrategy: 'OVERWRITE' }
    await a.link(b, both)
    await b.link(a, both)
    await a.put('/a-later', 'of A, first')
    await b.put('/a-later', 'of B')
    await b.put('/b-later', 'of B, first')
    await a.put('/b-later', 'of A')
    await a.put('/a-later', 'of A')
    await b.put('/b-later', 'of B')
    await a.put('/only-a', 'a')
    await b.put('/only-b', 'b')
    for (let round = 0; round < 2; round++) for (const one of ring.all) await one.run()
    const expected = { '/a-later': 'of A', '/b-later': 'of B', '/only-a': 'a', '/only-b': 'b' }
    for (const one of ring.all) assert.deepEqual(await one.texts(), expected)
    const written = await ring.lastChanges()
    for (let round = 0; round < 2; round++) {
      for (const one of ring.all) assert.equal(await one.run(), '0/4/0/0')
    }
    assert.deepEqual(await ring.lastChanges(), written)
  })

  it('given mutual tasks that propagate deletions, when one side deletes, then the other does, and it does not come back', async (t) => {
    await using ring = await clusters(dialect, ['alpha', 'beta'], t.signal)
    const [a, b] = ring.all as [Member, Member]
    const both = { conflictStrategy: 'OVERWRITE', propagateDelete: true }
    await a.link(b, both)
    await b.link(a, both)
    for (const one of ring.all) await one.put(`/of ${one.name}`, 'x')
    await a.put('/kept', 'x')
    for (const one of [a, b, a]) await one.run()
    await b.remove('/of alpha')
    await a.remove('/of beta')
    for (let round = 0; round < 2; round++) for (const one of ring.all) await one.run()
    for (const one of ring.all) assert.deepEqual(await one.texts(), { '/kept': 'x' })
    const written = await ring.lastChanges()
    for (const one of ring.all) assert.equal(await one.run(), '0/1/0/0')
    assert.deepEqual(await ring.lastChanges(), written)
  })

  it('given a ring of three, when a file is written, changed and deleted at one, then each change goes round once and ends', async (t) => {
    await using ring = await clusters(dialect, ['alpha', 'beta', 'gamma'], t.signal)
    const [a, b, c] = ring.all as [Member, Member, Member]
    const setting = { conflictStrategy: 'OVERWRITE', propagateDelete: true }
    await a.put('/stays', 'x')
    await a.link(b, setting)
    await b.link(c, setting)
    await c.link(a, setting)
    const round = async () => {
      const told: string[] = []
      for (const one of ring.all) told.push(await one.run())
      return told
    }
    await round()
    for (const content of ['one', 'two']) {
      await a.put('/x', content)
      assert.deepEqual((await round()).slice(0, 2), ['1/1/0/0', '1/1/0/0'])
      for (const one of ring.all) assert.equal((await one.texts())['/x'], content)
      const written = await ring.lastChanges()
      assert.deepEqual(await round(), ['0/2/0/0', '0/2/0/0', '0/2/0/0'])
      assert.deepEqual(await ring.lastChanges(), written)
    }
    await a.remove('/x')
    assert.deepEqual((await round()).slice(0, 2), ['1/1/0/0', '1/1/0/0'])
    for (const one of ring.all) assert.deepEqual(await one.texts(), { '/stays': 'x' })
    const written = await ring.lastChanges()
    assert.deepEqual(await round(), ['0/1/0/0', '0/1/0/0', '0/1/0/0'])
    assert.deepEqual(await ring.lastChanges(), written)
  })
})

interface Member {
  readonly name: string
  put(path: string, text: string): Promise<void>
  remove(path: string): Promise<void>
  texts(): Promise<Record<string, string>>
  /** Makes a task to another member, whose first run ends. */
  link(to: Member, setting: object): Promise<void>
  /** Executes that task. @returns success/skip/failed/conflict. */
  run(): Promise<string>
  readonly cluster: LocalCluster
}

async function clusters(dialect: TestDialect, names: readonly string[], signal: AbortSignal) {
  await using stack = new AsyncDisposableStack()
  const all: Member[] = []
  for (const name of names) {
    const cluster = stack.use(await startCluster({ name, dialect }))
    await createRepository(cluster.api, REPO, signal)
    all.push(member(cluster, signal))
  }
  const held = stack.move()
  return {
    all,
    /** The last number of each change log. */
    lastChanges: () =>
      Promise.all(
        all.map(({ cluster }) =>
          cluster.db.read
            .selectFrom('change_log')
            .select((eb) => eb.fn.max('id').as('id'))
            .executeTakeFirstOrThrow(),
        ),
      ),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

function member(cluster: LocalCluster, signal: AbortSignal): Member {
  const { api, name } = cluster
  let key: string
  let runs = 0
  const ended = async () => {
    const { id } = await waitForRun(api, key, { runs: ++runs, pollMs: POLL_MS }, signal)
    const path = `/replication/api/task/record/overview/${id}`
    const { success, skip, failed, conflict } = await api.call<Record<string, number>>('GET', path, undefined, signal)
    return `${success}/${skip}/${failed}/${conflict}`
  }
  return {
    name,
    cluster,
    put: (path, text) =>
      api.upload(REPO, path, Buffer.from(text), { 'x-bkrepo-overwrite': 'true' }, signal).then(() => {}),
    remove: async (path) => {
      await api.call('DELETE', `/repository/api/node/delete/${REPO}${encodeURI(path)}`, undefined, signal)
    },
    async texts() {
      const found: Record<string, string> = {}
      for await (const { fullPath } of listFiles(api, REPO, signal)) {
        found[fullPath] = await new Response(await api.download(REPO, fullPath, signal)).text()
      }
      return found
    },
    async link(to, setting) {
      const { url, password } = to.cluster
      const id = await registerCluster(api, { name: to.name, url, user: 'admin', password }, signal)
      const sample = taskOf(`to ${to.name}`, REPO, [id])
      const body = { ...sample, setting: { ...sample.setting, ...setting } }
      key = (await api.call<{ key: string }>('POST', '/replication/api/task/create', body, signal)).key
      await ended()
    },
    async run() {
      await executeTask(api, key, signal)
      return ended()
    },
  }
}
