import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ApiError, connectApi } from '../helpers/api.ts'
import { eachDialect, startCluster } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'

const ROUNDS = Number(process.env.ENTREPOT_TEST_UPLOAD_ROUNDS ?? 200)
const UPLOADS = 50
const NODE_EXISTED = 251012

eachDialect('parallel uploads', (dialect) => {
  it(`given ${ROUNDS} rounds of ${UPLOADS} parallel uploads to one path without overwrite, when all are answered, then in each one 200, ${UPLOADS - 1} times ${NODE_EXISTED}, one live node, one blob reference`, async (t) => {
    await using cluster = await startCluster({ name: 'center', dialect })
    using api = connectApi({ url: cluster.url, user: 'admin', password: cluster.password, connections: UPLOADS })
    await createRepository(api, 'demo/files', t.signal)
    const winners: string[] = []
    for (let round = 1; round <= ROUNDS; round++) {
      // Every other round all send the same bytes: then they also race for one blob.
      const contentOf = (upload: number) => `round ${round}, ${round % 2 === 0 ? 'the same' : upload}`
      const path = `/rounds/${round % 10}/${round}.txt`
      const answers = await Promise.allSettled(
        Array.from({ length: UPLOADS }, (_, upload) =>
          api.upload('demo/files', path, Buffer.from(contentOf(upload)), {}, t.signal),
        ),
      )
      const won = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
      const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []))
      assert.equal(won.length, 1, `round ${round}`)
      for (const reason of refused)
        assert.ok(reason instanceof ApiError && reason.code === NODE_EXISTED, String(reason))
      winners.push(won[0]!.sha256!)
    }
    const live = await cluster.db.read
      .selectFrom('node')
      .select('sha256')
      .where('folder', '=', 0)
      .where('deleted_at', 'is', null)
      .execute()
    assert.equal(live.length, ROUNDS)
    const all = await cluster.db.read.selectFrom('node').select('id').where('folder', '=', 0).execute()
    assert.equal(all.length, ROUNDS, 'a refused upload left a row')
    const references = live.map(({ sha256 }) => Buffer.from(sha256!).toString('hex'))
    assert.deepEqual(references.sort(), winners.sort())
    const log = await cluster.db.read
      .selectFrom('change_log')
      .select((eb) => [eb.fn.countAll<number>().as('rows'), eb.fn.sum<number>('dn').as('files')])
      .executeTakeFirstOrThrow()
    assert.deepEqual({ ...log }, { rows: ROUNDS, files: ROUNDS })
  })
})
