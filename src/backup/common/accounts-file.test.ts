import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type CommonRecords, commonSite } from '../../../test/helpers/common-data.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { seededRandom } from '../../../test/helpers/ids.ts'
import { createPlatformAccounts } from '../../auth/platform-accounts.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'

const accountsOf = (db: MetadataDatabase, seed = 1) =>
  createPlatformAccounts({ db, random: seededRandom(seed), clock: { now: () => 1_000 } as never })
const rule = (...values: string[]) => ({ operation: 'IN' as const, values })
const only = (...lines: readonly Record<string, unknown>[]): CommonRecords => ({ 'account.json': [...lines] })

eachDatabase('platform accounts of a backup', (make) => {
  it('given an account with keys, when it comes back, then its keys work, and the secret key is nowhere', async () => {
    await using source = await make()
    await using target = await make()
    const { accessKey, secretKey } = await accountsOf(source).create(
      { appId: 'ci', description: 'Builds', scope: ['REPO'], projectRules: [rule('one', 'two')] },
      'admin',
    )
    const records = await commonSite(source).backup()
    assert.equal(JSON.stringify(records).includes(secretKey), false)
    const site = commonSite(target)
    for (const _ of ['first', 'again']) {
      assert.deepEqual((await site.restore(records)).failures, [])
      assert.deepEqual(await site.backup(), records)
      assert.equal(await accountsOf(target).check(accessKey, secretKey), 'ci')
    }
  })

  it('given an account that is there, when restored with OVERWRITE, then keys and limits are merged, and its lock stays', async () => {
    await using source = await make()
    await using target = await make()
    const [from, to] = [accountsOf(source), accountsOf(target, 2)]
    const theirs = await from.create(
      { appId: 'ci', description: 'New', scope: ['REPO'], projectRules: [rule('one')] },
      'a',
    )
    await from.create({ appId: 'free', scope: [] }, 'a')
    const ours = await to.create({ appId: 'ci', locked: true, scope: ['NODE'], projectRules: [rule('two')] }, 'a')
    await to.create({ appId: 'free', scope: ['NODE'] }, 'a')
    const records = await commonSite(source).backup()
    const site = commonSite(target)
    assert.deepEqual((await site.restore(records, { onConflict: 'SKIP' })).skipped, 2)
    assert.deepEqual((await to.get('ci')).description, null)
    assert.deepEqual((await site.restore(records)).failures, [])
    const { description, locked, scope, projectRules } = await to.get('ci')
    assert.deepEqual(
      [description, locked, scope, projectRules],
      ['New', true, ['NODE', 'REPO'], [rule('two'), rule('one')]],
    )
    assert.deepEqual((await to.get('free')).scope, [], 'one of them was for all')
    assert.deepEqual(
      (await to.listCredentials('ci')).map(({ accessKey }) => accessKey).sort(),
      [ours.accessKey, theirs.accessKey].sort(),
    )
    await site.restore(records, { setting: { restoreCredentials: true } })
    assert.equal(await to.check(theirs.accessKey, theirs.secretKey), 'ci')
    assert.equal(await to.check(ours.accessKey, ours.secretKey), 'ci')
  })

  it('given bad records, when restored, then each is refused by itself, and no secret is told', async () => {
    await using db = await make()
    const taken = await accountsOf(db).create({ appId: 'taken' }, 'a')
    const site = commonSite(db)
    const [good] = (await site.backup())['account.json']!
    const [key] = good!.credentials as Record<string, unknown>[]
    const bad = [
      { ...good, appId: 'a:b' },
      { ...good, appId: 'b', scope: ['EVERYTHING'] },
      { ...good, appId: 'c', scopeDesc: [{ operation: 'LIKE', value: ['x'] }] },
      { ...good, appId: 'd', scopeDesc: [{ operation: 'IN', value: [] }] },
      { ...good, appId: 'e', credentials: [{ ...key, secretHash: 'topsecret' }] },
      { ...good, appId: 'f', credentials: [{ ...key, accessKey: 'short' }] },
      { ...good, appId: 'g', credentials: Array(21).fill(key) },
      { ...good, appId: 'h' },
    ]
    const { failures, success } = await site.restore(only(...bad))
    assert.deepEqual([failures.length, success], [bad.length, 0], failures.join('\n'))
    assert.equal(failures.join().includes('topsecret'), false)
    assert.match(failures.at(-1)!, /^account\.json: h: .* is of another account$/)
    assert.equal(await accountsOf(db).check(taken.accessKey, taken.secretKey), 'taken')
  })
})
