import assert from 'node:assert/strict'
import { it } from 'node:test'
import { append, change } from '../../../test/helpers/changes.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { foldAll } from '../../../test/helpers/fingerprints.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import type { MetadataDatabase } from '../database.ts'
import { headSeq } from './change-numbers.ts'
import { changedPaths } from './change-spans.ts'
import { trimChanges } from './change-trimming.ts'

const EVERYTHING = [EVERY_PATH]

async function addRepository(db: MetadataDatabase, name: string): Promise<number> {
  const text = { project: 'p', name, type: 'GENERIC', category: 'LOCAL', epoch: 'e', configuration: '{}' }
  const by = { created_by: 'a', modified_by: 'a', created_at: 1, modified_at: 1 }
  const values = { ...text, ...by, public: 0, floor_seq: 0 }
  const add = db.transact((trx) =>
    trx.insertInto('repository').values(values).returning('id').executeTakeFirstOrThrow(),
  )
  return (await add).id
}

eachDatabase('trimming of the change log', (make) => {
  it('given old changes, when trimmed, then the floor is the last of them and newer ones stay', async () => {
    await using db = await make()
    const repoId = await addRepository(db, 'r')
    const old = await append(db, change('/a', { repoId }), change('/b', { repoId }))
    const head = await append(db, change('/c', { repoId, at: 2_000 }))
    assert.equal(await db.transact((trx) => trimChanges(trx, 2_000)), 0, 'not before they are folded')
    await foldAll(db)
    assert.equal(await db.transact((trx) => trimChanges(trx, 2_000)), 2)
    assert.equal(await db.transact((trx) => trimChanges(trx, 2_000)), 0)
    const { floor_seq } = await db.read.selectFrom('repository').select('floor_seq').executeTakeFirstOrThrow()
    assert.equal(floor_seq, old)
    assert.deepEqual(await changedPaths(db.read, repoId, { from: old, to: head, ranges: EVERYTHING }), ['/c'])
  })

  it('given all changes trimmed, when the head is asked and changes come, then numbers go on from where they were', async () => {
    await using db = await make()
    const repoId = await addRepository(db, 'r')
    const head = await append(db, change('/a', { repoId }), change('/b', { repoId }))
    await foldAll(db)
    await db.transact((trx) => trimChanges(trx, 2_000))
    assert.equal(await headSeq(db.read, repoId), head)
    assert.ok((await append(db, change('/c', { repoId }))) > head)
  })

  it('given more old changes than one slice, when trimmed by slices, then all go and the call that finds none says 0', async () => {
    await using db = await make()
    const repoIds = [await addRepository(db, 'r'), await addRepository(db, 's')]
    await append(db, ...Array.from({ length: 20 }, (_, n) => change(`/${n}`, { repoId: repoIds[n % 2]!, at: n })))
    await foldAll(db)
    let deleted = 0
    for (let slice = -1; slice !== 0; deleted += slice) slice = await db.transact((trx) => trimChanges(trx, 20, 6))
    assert.equal(deleted, 20)
  })
})
