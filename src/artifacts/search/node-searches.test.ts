import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { EVERYTHING, leaf, SEARCH_WORDS, type SearchStage, searchStage } from '../../../test/helpers/searches.ts'
import { digestHex, digestOfBytes } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import { parseRule } from './rule-parser.ts'

const entry = (key: string, value: unknown) => ({ key, value })
const nor = (...rules: object[]) => ({ rules, relation: 'NOR' })
const or = (...rules: object[]) => ({ rules, relation: 'OR' })
const and = (...rules: object[]) => ({ rules })

/** Names full of what LIKE, GLOB and paths have a meaning for. */
async function oddities(stage: SearchStage): Promise<void> {
  await stage.put(stage.repository, [
    '/a/100%.txt',
    '/a/100x.txt',
    '/a/b_c.txt',
    '/a/bxc.txt',
    '/ab/Ünïcode-日本.TXT',
    '/top.jar',
    "/a/it's [x]?.txt",
    '/a/!bang.txt',
  ])
}

eachDatabase('node searches', (make) => {
  it('given names with special characters, when searched by text, then they are data and bytes decide', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    await oddities(stage)
    for (const [rule, wanted] of [
      [leaf('name', 'EQ', '100%.txt'), ['/a/100%.txt']],
      [leaf('name', 'IN', ['top.jar', 'b_c.txt', 'none']), ['/a/b_c.txt', '/top.jar']],
      [leaf('name', 'IN', []), []],
      [leaf('name', 'PREFIX', '100%'), ['/a/100%.txt']],
      [leaf('name', 'PREFIX', 'Ünï'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('name', 'PREFIX', 'ünï'), []],
      [leaf('name', 'SUFFIX', '%.txt'), ['/a/100%.txt']],
      [leaf('name', 'SUFFIX', '日本.TXT'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('name', 'SUFFIX', 'much longer than any name there is'), []],
      [leaf('name', 'CONTAINS', '_'), ['/a/b_c.txt']],
      [leaf('name', 'CONTAINS', '[x]?'), ["/a/it's [x]?.txt"]],
      [leaf('name', 'CONTAINS', '*'), []],
      [leaf('name', 'MATCH', 'b_*.txt'), ['/a/b_c.txt']],
      [leaf('name', 'MATCH', '*%*'), ['/a/100%.txt']],
      [leaf('name', 'MATCH', '!*'), ['/a/!bang.txt']],
      [leaf('name', 'MATCH', '*.TXT'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('name', 'MATCH_I', 'TOP*'), ['/top.jar']],
      [leaf('name', 'MATCH_I', '*CODE-*.txt'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('name', 'MATCH_I', 'top.jar'), ['/top.jar']],
      [leaf('fullPath', 'EQ', 'top.jar/'), ['/top.jar']],
      [leaf('fullPath', 'IN', ['/top.jar', '/a']), ['/a', '/top.jar']],
      [leaf('fullPath', 'PREFIX', '/a/100'), ['/a/100%.txt', '/a/100x.txt']],
      [leaf('fullPath', 'SUFFIX', '/bxc.txt'), ['/a/bxc.txt']],
      [leaf('fullPath', 'MATCH', '/a*/*.TXT'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('path', 'EQ', '/'), ['/a', '/ab', '/top.jar']],
      [leaf('path', 'EQ', '/ab/'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('path', 'IN', ['/ab', '/none']), ['/ab/Ünïcode-日本.TXT']],
      [leaf('path', 'PREFIX', '/ab'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('path', 'PREFIX', '/ab/'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('path', 'PREFIX', '/to'), []],
      [leaf('path', 'PREFIX', 'ab'), []],
      [leaf('path', 'SUFFIX', 'b/'), ['/ab/Ünïcode-日本.TXT']],
      [leaf('createdBy', 'CONTAINS', 'admin'), []],
      [leaf('projectId', 'PREFIX', 'de'), 'all'],
      [leaf('projectId', 'NE', 'demo'), []],
    ] as const) {
      const everything = wanted === 'all' ? await stage.paths([]) : wanted
      assert.deepEqual(await stage.paths([rule]), everything, JSON.stringify(rule))
    }
  })

  it('given numbers, dates, digests and flags, when searched, then values that are not there match negations only', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    const { repository: into, clock } = stage
    const start = clock.now()
    await stage.put(into, [{ path: path('/one'), md5: 'a'.repeat(32), digest: digestOfBytes('1'), sizeBytes: 1 }])
    await clock.advance(1_000)
    await stage.put(into, [{ path: path('/two/22'), digest: digestOfBytes('22'), sizeBytes: 2, createdBy: 'bob' }])
    for (const [rules, wanted] of [
      [[leaf('size', 'GT', 1)], ['/two/22']],
      [[leaf('size', 'GTE', 1)], ['/one', '/two/22']],
      [[leaf('size', 'LT', 1)], ['/two']],
      [[leaf('size', 'LTE', 1)], ['/one', '/two']],
      [[leaf('size', 'EQ', 2)], ['/two/22']],
      [[leaf('size', 'NIN', [0, 2])], ['/one']],
      [[leaf('lastModifiedDate', 'AFTER', start)], ['/two', '/two/22']],
      [[leaf('lastModifiedDate', 'GTE', start)], ['/one', '/two', '/two/22']],
      [[leaf('createdDate', 'BEFORE', start + 1)], ['/one']],
      [[leaf('lastModifiedDate', 'EQ', start)], ['/one']],
      [[leaf('sha256', 'EQ', digestHex(digestOfBytes('22')).toUpperCase())], ['/two/22']],
      [[leaf('sha256', 'IN', [digestHex(digestOfBytes('1')), 'no digest'])], ['/one']],
      [[leaf('sha256', 'EQ', 'no digest')], []],
      [[leaf('sha256', 'NE', digestHex(digestOfBytes('1')))], ['/two', '/two/22']],
      [[leaf('sha256', 'NULL')], ['/two']],
      [[leaf('md5', 'NOT_NULL')], ['/one']],
      [[leaf('md5', 'NE', 'a'.repeat(32))], ['/two', '/two/22']],
      [[nor(leaf('md5', 'NOT_NULL'), leaf('folder', 'EQ', true))], ['/two/22']],
      [[leaf('lastAccessDate', 'BEFORE', start)], []],
      [[leaf('lastAccessDate', 'NULL')], ['/one', '/two', '/two/22']],
      [[leaf('folder', 'EQ', 'true')], ['/two']],
      [[leaf('folder', 'NE', true)], ['/one', '/two/22']],
      [[leaf('createdBy', 'EQ', 'bob')], ['/two/22']],
      [[or(leaf('createdBy', 'EQ', 'bob'), leaf('name', 'EQ', 'one'))], ['/one', '/two/22']],
      [[or(and(leaf('size', 'EQ', 2), leaf('name', 'EQ', 'one')), leaf('name', 'EQ', 'two'))], ['/two']],
    ] as const) {
      assert.deepEqual(await stage.paths(rules), wanted, JSON.stringify(rules))
    }
  })

  it('given typed metadata, when searched, then text and number differ, and long values compare as a whole', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    const long = 'x'.repeat(300)
    const file = (name: string, ...metadata: { key: string; value: unknown }[]) => ({ path: path(name), metadata })
    await stage.put(stage.repository, [
      file('/text', entry('k', '1'), entry('other', 'a%b"\\\n日本')),
      file('/number', entry('k', 1), entry('n', 2.5)),
      file('/true', entry('k', true)),
      file('/null', entry('k', null)),
      file('/list', entry('k', [1])),
      file('/long', entry('k', `${long}1`)),
      file('/longer', entry('k', `${long}2`)),
      '/none',
    ])
    for (const [rule, wanted] of [
      [leaf('metadata.k', 'EQ', '1'), ['/text']],
      [leaf('metadata.k', 'EQ', 1), ['/number']],
      [leaf('metadata.k', 'EQ', true), ['/true']],
      [leaf('metadata.k', 'IN', ['1', 1]), ['/number', '/text']],
      [leaf('metadata.k', 'EQ', `${long}1`), ['/long']],
      [leaf('metadata.k', 'PREFIX', `${long}2`), ['/longer']],
      [leaf('metadata.k', 'PREFIX', 'xx'), ['/long', '/longer']],
      [leaf('metadata.k', 'SUFFIX', 'x2'), ['/longer']],
      [leaf('metadata.k', 'MATCH', 'xx*2'), ['/longer']],
      [leaf('metadata.other', 'CONTAINS', 'n'), []],
      [leaf('metadata.other', 'CONTAINS', '"\\\n日'), ['/text']],
      [leaf('metadata.k', 'GT', 0), ['/number']],
      [leaf('metadata.n', 'LTE', 2.5), ['/number']],
      [leaf('metadata.n', 'LT', 2.5), []],
      [leaf('metadata.k', 'NOT_NULL'), ['/list', '/long', '/longer', '/number', '/text', '/true']],
      [leaf('metadata.k', 'NULL'), ['/none', '/null']],
      [leaf('metadata.n', 'NE', 2.5), ['/list', '/long', '/longer', '/none', '/null', '/text', '/true']],
      [or(leaf('metadata.k', 'EQ', '1'), leaf('metadata.n', 'EQ', 2.5)), ['/number', '/text']],
    ] as const) {
      assert.deepEqual(await stage.paths([rule]), wanted, JSON.stringify(rule).slice(0, 80))
      // Through another index the same is found.
      assert.deepEqual(await stage.paths([rule, leaf('path', 'EQ', '/')]), wanted, JSON.stringify(rule).slice(0, 80))
    }
  })

  it('given metadata that changes, when searched, then it is found as it is now, and gone with its node', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    const { repository: into, nodes } = stage
    await stage.put(into, [{ path: path('/f'), metadata: [entry('k', 'old')] }])
    await nodes.saveMetadata(into, path('/f'), [entry('k', 'new'), entry('l', 1)], 'ann')
    assert.deepEqual(await stage.paths([leaf('metadata.k', 'EQ', 'old')]), [])
    assert.deepEqual(await stage.paths([leaf('metadata.k', 'EQ', 'new')]), ['/f'])
    await nodes.deleteMetadata(into, path('/f'), ['k', 'missing'], 'ann')
    assert.deepEqual(await stage.paths([leaf('metadata.k', 'NOT_NULL')]), [])
    assert.deepEqual(await stage.paths([leaf('metadata.l', 'EQ', 1)]), ['/f'])
    await db.transact((trx) => trx.updateTable('node').set({ deleted_at: 1 }).where('path', '=', '/f').execute())
    assert.deepEqual(await stage.paths([leaf('metadata.l', 'EQ', 1)]), [])
    await db.transact((trx) => trx.deleteFrom('node').where('path', '=', '/f').execute())
    assert.deepEqual(await db.read.selectFrom('node_metadata').selectAll().execute(), [])
  })

  it('given NUL and half a surrogate pair in the metadata of another cluster, when written, then it is stored all the same', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    await stage.put(stage.repository, [
      { path: path('/odd'), metadata: [entry('nul', 'a\u0000b'), entry('half', '\ud800'), entry('k', 'v')] },
    ])
    assert.deepEqual(await stage.paths([leaf('metadata.k', 'EQ', 'v')]), ['/odd'])
  })

  it('given several repositories, when searched, then repoName and repoType narrow, inside OR too', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    const other = await makeRepository(stage, 'demo/other')
    const foreign = await makeRepository(stage, 'else/files')
    await stage.put(stage.repository, ['/x'])
    await stage.put(other, ['/x', '/y'])
    await stage.put(foreign, ['/x'])
    const where = async (...rules: object[]) => {
      const { records } = await stage.find(rules, { sort: { properties: ['fullPath'] } })
      return records.map(({ repository, node }) => `${repository.project}/${repository.name}${node.path}`).sort()
    }
    assert.deepEqual(await where(), ['demo/files/x', 'demo/other/x', 'demo/other/y'])
    assert.deepEqual(await where(leaf('repoName', 'EQ', 'other')), ['demo/other/x', 'demo/other/y'])
    assert.deepEqual(await where(leaf('repoName', 'NE', 'other'), leaf('repoType', 'EQ', 'GENERIC')), ['demo/files/x'])
    assert.deepEqual(await where(leaf('repoType', 'EQ', 'NPM')), [])
    assert.deepEqual(await where(or(leaf('repoName', 'EQ', 'files'), leaf('name', 'EQ', 'y'))), [
      'demo/files/x',
      'demo/other/y',
    ])
    assert.deepEqual(await stage.paths([], { project: 'nothing' }), [])
  })

  it('given grants with patterns, when searched, then only what they cover is found or counted', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    const other = await makeRepository(stage, 'demo/other')
    await stage.put(stage.repository, ['/data/report/a', '/data/report-secret/a', '/data/report/no/a', '/else/a'])
    await stage.put(other, ['/a', '/b/a'])
    const repoId = stage.repository.id
    const grant = (include: string[], exclude: string[] = [], id = repoId) => ({
      ...{ repoId: id, include: include.map(path), exclude: exclude.map(path) },
    })
    const names = (...repositories: ReturnType<typeof grant>[]) =>
      stage.paths([leaf('name', 'EQ', 'a')], { scope: { everything: false, repositories } })
    assert.deepEqual(await names(), [])
    assert.deepEqual(await names(grant(['/data/report'])), ['/data/report/a', '/data/report/no/a'])
    assert.deepEqual(await names(grant(['/data/report'], ['/data/report/no'])), ['/data/report/a'])
    assert.deepEqual(await names(grant(['/data/report'], ['/data/report/no']), grant(['/else'])), [
      '/data/report/a',
      '/else/a',
    ])
    assert.deepEqual(await names(grant([], ['/data']), grant([], [], other.id)), ['/a', '/b/a', '/else/a'])
    assert.deepEqual(await names(grant(['/data'], ['/']), grant(['/b'], [], other.id)), ['/b/a'])
    const { totalRecords } = await stage.find([], { scope: { everything: false, repositories: [grant(['/else'])] } })
    assert.equal(totalRecords, 2)
  })

  it('given expired and deleted nodes, when searched, then they are not found', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    await stage.put(stage.repository, ['/here', { path: path('/soon'), expiresAt: stage.clock.now() + 1_000 }])
    assert.deepEqual(await stage.paths([]), ['/here', '/soon'])
    await stage.clock.advance(1_000)
    assert.deepEqual(await stage.paths([]), ['/here'])
    assert.equal((await stage.find([])).totalRecords, 1)
  })

  it('given an order, when sorted and paged, then the pages follow each other without gap, missing values first', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    const other = await makeRepository(stage, 'demo/other')
    const files = (from: number) =>
      Array.from({ length: 5 }, (_, index) => ({ path: path(`/f${from + index}`), sizeBytes: (index * 7 + from) % 10 }))
    await stage.put(stage.repository, files(0))
    await stage.put(other, files(5))
    await db.transact((trx) => trx.updateTable('node').set({ accessed_at: 5 }).where('path', '=', '/f3').execute())
    for (const property of ['size', 'name', 'fullPath', 'lastModifiedDate', 'createdBy', 'lastAccessDate', 'path']) {
      for (const direction of ['ASC', 'DESC']) {
        const seen: string[] = []
        for (const pageNumber of [1, 2, 3, 4]) {
          const asking = { sort: { properties: [property], direction }, page: { pageNumber, pageSize: 3 } }
          seen.push(...(await stage.paths([leaf('folder', 'EQ', false)], asking)))
        }
        assert.equal(new Set(seen).size, 10, `${property} ${direction}`)
        if (property === 'name')
          assert.deepEqual(seen, direction === 'ASC' ? [...seen].sort() : [...seen].sort().reverse())
        if (property === 'lastAccessDate') assert.equal(seen.indexOf('/f3'), direction === 'ASC' ? 9 : 0)
      }
    }
  })

  it('given more nodes than a search looks at, when no index bounds them, then it is refused unless enough match at once', async () => {
    await using db = await make()
    const stage = await searchStage(db, 5)
    await stage.put(stage.repository, ['/a1', '/a2', '/a3', '/a4', '/a5', '/b1'])
    const refused = (rules: object[], asking = {}) =>
      assert.rejects(stage.find(rules, asking), (error) => hasCode(error, 'QUERY_TOO_LARGE'))
    await refused([leaf('name', 'SUFFIX', '1')])
    await refused([])
    assert.deepEqual(await stage.paths([leaf('name', 'EQ', 'b1'), leaf('name', 'SUFFIX', '1')]), ['/b1'])
    assert.equal((await stage.find([leaf('name', 'PREFIX', 'a')])).totalRecords, 5)
    await refused([leaf('name', 'PREFIX', 'a')], { page: { pageNumber: 501 } })
    // What an index gives in vain counts, too: deleted nodes, and those of others with the same bytes.
    const same = { digest: digestOfBytes('same'), metadata: [entry('k', 'v')] }
    const copies = (folder: string) =>
      Array.from({ length: 6 }, (_, index) => ({ path: path(`${folder}/${index}`), ...same }))
    await stage.put(stage.repository, copies('/gone'))
    await db.transact((trx) => trx.updateTable('node').set({ deleted_at: 1 }).where('parent', '=', '/gone').execute())
    await stage.put(stage.repository, copies('/here'))
    await refused([leaf('sha256', 'EQ', digestHex(digestOfBytes('same')))])
    await refused([leaf('metadata.k', 'EQ', 'v')])
    await refused([leaf('metadata.k', 'SUFFIX', 'w')])
  })

  it('given over 10,000 matches, when searched, then the count is cut off and says so, sorted by an index or not', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    const names = Array.from({ length: 10_001 }, (_, index) => `/f${String(index).padStart(5, '0')}`)
    for (let from = 0; from < names.length; from += 500)
      await stage.put(stage.repository, names.slice(from, from + 500))
    const page = { pageSize: 2 }
    const some = await stage.find([], { page })
    assert.deepEqual([some.totalRecords, some.totalRecordsExact, some.records.length], [10_000, false, 2])
    const most = await stage.find([leaf('name', 'NE', 'f00000')], { page })
    assert.deepEqual([most.totalRecords, most.totalRecordsExact], [10_000, true])
    for (const property of ['name', 'size', 'createdBy']) {
      const asking = { page, sort: { properties: [property], direction: 'DESC' } }
      assert.deepEqual(await stage.paths([], asking), ['/f10000', '/f09999'], property)
    }
    const last = { page: { pageNumber: 5000, pageSize: 2 }, sort: { properties: ['name'] } }
    assert.deepEqual(await stage.paths([], last), ['/f09998', '/f09999'])
  })

  it('given a name, when counted per repository, then folders and hidden repositories do not count', async () => {
    await using db = await make()
    const stage = await searchStage(db)
    const other = await makeRepository(stage, 'demo/other')
    await stage.put(stage.repository, ['/x/app.jar', '/app.jar', '/app.jar.d/f'])
    await stage.put(other, ['/app.jar'])
    const rules = [leaf('name', 'MATCH', 'app*'), leaf('folder', 'EQ', false)].map((rule) =>
      parseRule(rule, SEARCH_WORDS),
    )
    assert.deepEqual(await stage.searches.overview({ project: 'demo', rules }, EVERYTHING), [
      { repoName: 'files', files: 2 },
      { repoName: 'other', files: 1 },
    ])
    const mine = { everything: false, repositories: [{ repoId: other.id, include: [], exclude: [] }] }
    assert.deepEqual(await stage.searches.overview({ project: 'demo', rules }, mine), [{ repoName: 'other', files: 1 }])
  })
})
