import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type ArtifactServices, artifactServices, fileWrite, makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { lockLive, putFiles } from '../../artifacts/nodes/node-writer.ts'
import { digestHex, digestOfBytes } from '../../core/digest.ts'
import { NO_LANES } from '../../core/lanes.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { claimBlobs } from '../../metadata/storage/blobs.ts'
import type { FileEntry } from '../../remotes/cluster/messages.ts'
import { createApplier } from './apply.ts'
import { createComparer } from './compare.ts'

const LINK = 'a'.repeat(32)
const CONTENT = { digest: digestOfBytes('x'), sizeBytes: 1 }

/** A target that has the one content that all entries have. */
async function target(db: MetadataDatabase) {
  const on = artifactServices(db)
  const repository = await makeRepository(on)
  await db.transact((trx) => claimBlobs(trx, [CONTENT], on.clock.now()))
  const stream = {
    ...{ sourceId: 'src', project: 'demo', repo: 'files', epoch: repository.epoch },
    ...{ stream: 's', fence: 1, run: 1 },
  }
  const apply = createApplier({ ...on, clusterId: 'here' })
  const compare = createComparer(on)
  return {
    ...{ on, repository },
    async apply(...entries: FileEntry[]) {
      const { results } = await apply(LINK, { ...stream, entries })
      return results.map((one) => (one.result === 'refused' ? `refused: ${one.reason}` : one.result))
    },
    async compare(...paths: string[]) {
      const offers = paths.map((path) => ({
        ...{ path, sha256: digestHex(CONTENT.digest), sizeBytes: 1 },
        ...{ metaLanes: NO_LANES, expiresAt: null },
      }))
      const { verdicts } = await compare(LINK, { ...stream, includeMetadata: false, offers })
      return verdicts.map(({ there }) => there)
    },
    async livePaths() {
      const live = db.read.selectFrom('node').where('deleted_at', 'is', null).where('folder', '=', 0)
      return (await live.select('path').orderBy('path').execute()).map((row) => row.path)
    },
  }
}

function entry(on: ArtifactServices, path: string): FileEntry {
  const { hlc, createdAt, modifiedAt } = fileWrite(on, path, 'x')
  return {
    ...{ path, sha256: digestHex(CONTENT.digest), sizeBytes: 1, md5: null, metadata: [], expiresAt: null },
    ...{ origin: 'src', hlc, createdBy: 'alice', createdAt, modifiedBy: 'alice', modifiedAt },
    ...{ expect: null, conflict: false },
  }
}

eachDatabase('applying a batch', (make) => {
  it('given one path twice, new or with new metadata only, when applied, then the second entry is refused, and no other', async () => {
    await using db = await make()
    const { on, apply, livePaths } = await target(db)
    const twice = 'refused: the batch has another entry of this path'
    const first = await apply(entry(on, '/a'), entry(on, '/b'), entry(on, '/a'))
    assert.deepEqual(first, ['written', 'written', twice])
    const row = await db.read
      .selectFrom('node')
      .select(['id', 'hlc'])
      .where('path', '=', '/a')
      .executeTakeFirstOrThrow()
    const change = () => ({ ...entry(on, '/a'), expect: `${row.id}.${row.hlc}`, metadata: [{ key: 'k', value: 1 }] })
    assert.deepEqual(await apply(change(), change()), ['written', twice])
    assert.deepEqual(await livePaths(), ['/a', '/b'])
  })

  it('given a file and one below it in a batch, in either order, when applied, then the second one is refused', async () => {
    await using db = await make()
    const { on, apply, livePaths } = await target(db)
    const entries = ['/n', '/n/x', '/ok', '/m/y/z', '/m'].map((path) => entry(on, path))
    assert.deepEqual(await apply(...entries), [
      'written',
      'refused: the batch has a file at [/n], where it needs a folder',
      'written',
      'written',
      'refused: the batch has a file below it',
    ])
    assert.deepEqual(await livePaths(), ['/m/y/z', '/n', '/ok'])
  })

  it('given a file above the path, when it has expired, then the entry is written in its place; before, it is refused', async () => {
    await using db = await make()
    const { on, repository, apply, compare, livePaths } = await target(db)
    const standing = fileWrite(on, '/e', 'x', { expiresAt: on.clock.now() + 1_000 })
    await db.transact(async (trx) =>
      putFiles(trx, repository, [standing], await lockLive(trx, repository.id, [standing.path]), on.clock.now()),
    )
    assert.deepEqual(await compare('/e/x'), ['folder'])
    assert.deepEqual(await apply(entry(on, '/e/x')), [
      'refused: the target has a file at [/e], where it needs a folder',
    ])
    await on.clock.advance(1_000)
    assert.deepEqual(await compare('/e/x'), ['absent'])
    assert.deepEqual(await apply(entry(on, '/e/x')), ['written'])
    assert.deepEqual(await livePaths(), ['/e/x'])
  })
})
