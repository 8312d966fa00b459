import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sql } from 'kysely'
import { makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { planOf, watched } from '../../../test/helpers/plans.ts'
import { EVERYTHING, leaf, SEARCH_WORDS, type SearchStage, searchStage } from '../../../test/helpers/searches.ts'
import { parseRule } from '../../artifacts/search/rule-parser.ts'
import { digestHex, digestOfBytes } from '../../core/digest.ts'
import type { Reader } from '../database.ts'
import { type FoundOrder, prepareSearch } from './node-search.ts'
import { searchedRepositories } from './search-scope.ts'

const FULL_SCAN = /\bSCAN node\b|Seq Scan on node\b/
const SORT = /TEMP B-TREE|\bSort\b/

eachDatabase('plans of searches', (make) => {
  it('given each operation that an index serves, when searched, then no query reads all nodes or sorts what it finds', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    await fill(stage)
    await makeRepository(stage, 'demo/other')
    const digest = digestHex(digestOfBytes('/c'))
    for (const [rules, index] of [
      [[], 'node_modified'],
      [[leaf('name', 'EQ', 'b')], 'node_name'],
      [[leaf('name', 'IN', ['b', 'c'])], 'node_name'],
      [[leaf('name', 'PREFIX', 'b')], 'node_name'],
      [[leaf('name', 'MATCH', 'b*x')], 'node_name'],
      [[leaf('fullPath', 'EQ', '/c')], 'node_live'],
      [[leaf('fullPath', 'IN', ['/c', '/d'])], 'node_live'],
      [[leaf('fullPath', 'PREFIX', '/a')], 'node_live'],
      [[leaf('path', 'PREFIX', '/a')], 'node_live'],
      [[leaf('path', 'EQ', '/a')], 'node_children'],
      [[leaf('sha256', 'EQ', digest)], 'node_blob'],
      [[leaf('sha256', 'IN', [digest, digest])], 'node_blob'],
      [[leaf('size', 'EQ', 1)], 'node_size'],
      [[leaf('size', 'GT', 1), leaf('size', 'LTE', 9)], 'node_size'],
      [[leaf('lastModifiedDate', 'AFTER', 1)], 'node_modified'],
      [[leaf('lastModifiedDate', 'LT', 1)], 'node_modified'],
      [[leaf('metadata.k', 'EQ', 'v')], 'node_metadata_value'],
      [[leaf('metadata.k', 'EQ', 1)], 'node_metadata_value'],
      [[leaf('metadata.k', 'IN', ['v', 'w'])], 'node_metadata_value'],
      [[leaf('metadata.k', 'PREFIX', 'v')], 'node_metadata_value'],
      [[leaf('metadata.k', 'NOT_NULL')], 'node_metadata_value'],
      // With several fitting, and with what no index serves beside.
      [[leaf('name', 'SUFFIX', 'b'), leaf('size', 'LT', 9), leaf('createdBy', 'EQ', 'ann')], 'node_size'],
    ] as const) {
      for (const repoName of ['files', undefined]) {
        const { reader, asked } = watched(db.slow)
        const narrowed = repoName === undefined ? rules : [leaf('repoName', 'EQ', repoName), ...rules]
        const prepared = await preparedFor(reader, narrowed, stage.clock.now())
        assert.equal(prepared.candidates.index, index)
        const before = asked.length
        const count = await prepared.count()
        await prepared.window({ order: [], limit: 20, offset: 0, metadata: 'with-metadata' }, count!)
        await prepared.countByRepository()
        for (const [at, query] of asked.entries()) {
          const plan = await planOf(db.slow, query)
          const where = `${JSON.stringify(narrowed)}\n${query.sql}\n${plan}`
          assert.doesNotMatch(plan, FULL_SCAN, where)
          // One digest has few nodes; folders of several repositories are sorted by PostgreSQL before 17 only.
          if (at >= before && index !== 'node_blob' && !query.sql.includes('group by'))
            assert.doesNotMatch(plan, SORT, where)
          if (at >= before) assert.match(plan, new RegExp(`\\b${index}\\b`), where)
        }
      }
    }
  })

  it('given more matches than are counted, when sorted by what an index orders, then its order is followed', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    await fill(stage)
    await makeRepository(stage, 'demo/other')
    for (const [field, index] of [
      ['name', 'node_name'],
      ['fullPath', 'node_live'],
      ['size', 'node_size'],
      ['lastModifiedDate', 'node_modified'],
    ] as const) {
      const { reader, asked } = watched(db.slow)
      const prepared = await preparedFor(reader, [leaf('repoName', 'EQ', 'files')], stage.clock.now())
      asked.length = 0
      const order: FoundOrder[] = [{ field, direction: 'desc' }]
      await prepared.window({ order, limit: 1, offset: 0, metadata: 'with-metadata' }, { more: true })
      const plan = await planOf(db.slow, asked[0]!)
      assert.doesNotMatch(plan, FULL_SCAN, plan)
      assert.match(plan, new RegExp(`\\b${index}\\b`), plan)
    }
  })
})

/** Enough for PostgreSQL to prefer one index to another. */
async function fill(stage: SearchStage): Promise<void> {
  const paths = Array.from({ length: 2_000 }, (_, index) => `/d${index % 40}/f${index}`)
  for (let from = 0; from < paths.length; from += 500) {
    const files = paths.slice(from, from + 500).map((name, index) => ({
      path: path(name),
      sizeBytes: from + index,
      metadata: index % 10 === 0 ? [{ key: 'k', value: `v${index}` }] : [],
    }))
    await stage.put(stage.repository, files)
    await stage.clock.advance(1_000)
  }
  await stage.db.transact((trx) => sql`analyze`.execute(trx))
}

async function preparedFor(reader: Reader, rules: readonly object[], now: number) {
  const parsed = rules.map((rule) => parseRule(rule, SEARCH_WORDS))
  const repositories = await searchedRepositories(reader, 'demo', EVERYTHING, parsed)
  const limits = { countUpTo: 10_000, lookAtMost: 100_000 }
  return prepareSearch(reader, { project: 'demo', repositories, scope: EVERYTHING, rules: parsed, now, ...limits })
}
