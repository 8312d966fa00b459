import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../test/helpers/databases.ts'
import { ofOneMoment } from './one-moment.ts'
import { insertProject } from './repositories/projects.ts'

const by = { createdBy: 'ann', createdAt: 1, modifiedBy: 'ann', modifiedAt: 1 }
const project = { displayName: 'a', description: '', metadata: [], ...by } as never as Parameters<
  typeof insertProject
>[1]

eachDatabase('reads of one moment', (make) => {
  it('given a commit between two of them, when they are over, then both saw the same', async () => {
    await using db = await make()
    const add = (name: string) => db.transact((trx) => insertProject(trx, { ...project, name }))
    await add('before')
    let reads = 0
    const [first, second] = await ofOneMoment(db, async (reader) => {
      const count = async () => (await reader.selectFrom('project').select('name').execute()).length
      const before = await count()
      if (reads++ === 0) await add('between')
      return [before, await count()]
    })
    assert.equal(first, second)
  })
})
