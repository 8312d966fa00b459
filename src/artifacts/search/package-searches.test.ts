import assert from 'node:assert/strict'
import { it } from 'node:test'
import { path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { makePackageRepository, packageServices } from '../../../test/helpers/packages.ts'
import { EVERYTHING, leaf } from '../../../test/helpers/searches.ts'
import type { SearchScope } from '../../metadata/search/search-scope.ts'
import { createPackageSearches } from './package-searches.ts'
import { packageWords } from './package-words.ts'
import { parseSearch } from './search-request.ts'

eachDatabase('package searches', (make) => {
  it('given packages, when searched, then rules, order, pages and rights hold as for nodes', async () => {
    await using db = await make()
    const services = packageServices(db)
    const one = await makePackageRepository(services, 'one')
    const two = await makePackageRepository(services, 'two')
    await services.publish(one, 'alpha', '1.0.0', { '/alpha/1/a': 'a' })
    await services.publish(one, 'alpha', '1.1.0', { '/alpha/2/a': 'b' })
    await services.publish(one, 'beta-x', '1.0.0', { '/beta/1/a': 'c' })
    await services.publish(two, 'alpha', '2.0.0', { '/alpha/2/a': 'd' })
    const words = packageWords(['name'], (_name, value) => Number(value))
    const search = async (rules: object[], more: object = {}, scope: SearchScope = EVERYTHING, lookAtMost = 100) => {
      const request = parseSearch({ rule: { rules: [leaf('projectId', 'EQ', 'demo'), ...rules] }, ...more }, words)
      return createPackageSearches({ db, limits: { lookAtMost } }).find(request, scope)
    }
    const found = async (...asked: Parameters<typeof search>) =>
      (await search(...asked)).records.map(({ repository, found: { name } }) => `${repository.name}/${name}`)
    for (const [rules, wanted] of [
      [[], ['one/alpha', 'one/beta-x', 'two/alpha']],
      [[leaf('name', 'EQ', 'alpha'), leaf('repoName', 'EQ', 'two')], ['two/alpha']],
      [[leaf('name', 'PREFIX', 'be')], ['one/beta-x']],
      [[leaf('name', 'MATCH', '*-x')], ['one/beta-x']],
      [[leaf('key', 'EQ', 'rds://alpha')], ['one/alpha', 'two/alpha']],
      [[leaf('versions', 'GT', 1)], ['one/alpha']],
      [[leaf('latest', 'IN', ['2.0.0', '1.1.0'])], ['one/alpha', 'two/alpha']],
      [[leaf('description', 'NULL'), leaf('name', 'NE', 'alpha')], ['one/beta-x']],
      [
        [{ rules: [leaf('repoName', 'EQ', 'two'), leaf('name', 'EQ', 'beta-x')], relation: 'OR' }],
        ['one/beta-x', 'two/alpha'],
      ],
    ] as const) {
      assert.deepEqual(await found([...rules]), wanted, JSON.stringify(rules))
    }
    const sort = { properties: ['name'], direction: 'DESC' }
    assert.deepEqual(await found([], { sort, page: { pageSize: 1, pageNumber: 1 } }), ['one/beta-x'])
    assert.equal((await search([], { sort, page: { pageSize: 1 } })).totalRecords, 3)
    const part = (include: string[]) => ({
      everything: false,
      repositories: [{ repoId: one.id, include: include.map(path), exclude: [] }],
    })
    assert.deepEqual(await found([], {}, part(['/alpha/2'])), ['one/alpha'])
    assert.deepEqual(await found([], {}, part([])), ['one/alpha', 'one/beta-x'])
    await assert.rejects(search([], {}, EVERYTHING, 2), { code: 'QUERY_TOO_LARGE' })
    await assert.rejects(search([leaf('metadata.k', 'EQ', 1)]), { code: 'PARAMETER_INVALID' })
  })
})
