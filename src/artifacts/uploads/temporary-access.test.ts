import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { seededRandom } from '../../../test/helpers/ids.ts'
import { hasCode } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { createTemporaryAccess, type TemporaryOrder } from './temporary-access.ts'

const DAY_MS = 86_400_000
const ORDER: TemporaryOrder = {
  paths: [path('/dir')],
  type: 'DOWNLOAD',
  users: undefined,
  addresses: undefined,
  expireSeconds: 60,
  permits: undefined,
}
const REQUEST = { use: 'DOWNLOAD', path: path('/dir/file'), userId: undefined, address: '127.0.0.1' } as const

async function prepared(db: MetadataDatabase) {
  const services = artifactServices(db)
  const { clock } = services
  const repository = await makeRepository(services)
  const access = createTemporaryAccess({ db, clock, random: seededRandom(), mayDo: async () => true })
  const make = async (more: Partial<TemporaryOrder> = {}) =>
    (await access.create(repository, { ...ORDER, ...more }, { createdBy: 'ann', appId: null }))[0]!
  return { clock, repository, access, make }
}
const isInvalid = (error: unknown) => hasCode(error, 'TEMPORARY_TOKEN_INVALID')

eachDatabase('temporary access rules', (database) => {
  it('given 7 permits and 27 uses at once, when all have ended, then 7 were let in; a use that failed is given back', async () => {
    await using db = await database()
    const { access, make } = await prepared(db)
    const grant = await make({ permits: 7 })
    const uses = await Promise.allSettled(
      Array.from({ length: 27 }, () => access.use(grant.token, grant, async () => 'in')),
    )
    assert.equal(uses.filter(({ status }) => status === 'fulfilled').length, 7)
    assert.ok(uses.every((use) => use.status === 'fulfilled' || isInvalid(use.reason)))
    const other = await make({ permits: 1 })
    const broken = async () => {
      throw new Error('cut')
    }
    await assert.rejects(access.use(other.token, other, broken), /cut/)
    assert.equal(await access.use(other.token, other, async () => 'in'), 'in')
    await assert.rejects(
      access.use(other.token, other, async () => 'in'),
      isInvalid,
    )
  })

  it('given a time, when it is over, then expired for a day, then unknown; those without end and with permits stay', async () => {
    await using db = await database()
    const { clock, repository, access, make } = await prepared(db)
    const brief = await make()
    const forever = await make({ expireSeconds: -1 })
    const usedUp = await make({ expireSeconds: 0, permits: 1 })
    await access.use(usedUp.token, usedUp, async () => {})
    await clock.advance(59_999)
    await access.check(brief.token, repository, REQUEST)
    await clock.advance(1)
    await access.sweep()
    await assert.rejects(access.check(brief.token, repository, REQUEST), (error) =>
      hasCode(error, 'TEMPORARY_TOKEN_EXPIRED'),
    )
    await clock.advance(DAY_MS + 1)
    await access.sweep()
    await assert.rejects(access.check(brief.token, repository, REQUEST), isInvalid)
    await access.check(forever.token, repository, REQUEST)
    const rows = await db.read.selectFrom('temporary_token').select('path').execute()
    assert.equal(rows.length, 1)
  })

  it('given a repository that was made anew under the same name, when an old token is used, then it is unknown', async () => {
    await using db = await database()
    const { repository, access, make } = await prepared(db)
    const grant = await make()
    const anew = { ...repository, id: repository.id + 1 }
    await assert.rejects(access.check(grant.token, anew, REQUEST), isInvalid)
  })
})
