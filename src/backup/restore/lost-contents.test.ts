import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { restoreSite } from '../../../test/helpers/restore-site.ts'
import { digestBytes } from '../../core/digest.ts'
import { knownBlobs } from '../../metadata/storage/blobs.ts'

const signal = new AbortController().signal
const TEXTS = ['precious', 'x'.repeat(100_000)]
const DIGESTS = TEXTS.map(digestOf)

eachDatabase('contents that were lost here', (make) => {
  /** Files that are whole, a backup of them, and both contents withdrawn as a scrub does it. */
  async function losing() {
    const site = await restoreSite(make)
    const repository = await makeRepository(site)
    await site.upload(repository, '/a.txt', TEXTS[0]!)
    await site.upload(repository, '/large.bin', TEXTS[1]!)
    const backup = await site.backUp()
    for (const digest of DIGESTS) await site.store.delete(digest, signal)
    await site.db.transact((trx) =>
      trx
        .updateTable('blob')
        .set({ unneeded_since: site.clock.now(), segment: null, place: null })
        .where('sha256', 'in', DIGESTS.map(digestBytes))
        .execute(),
    )
    await site.clock.advance(1_000)
    const stampsOf = () => site.db.read.selectFrom('node').select(['id', 'path', 'modified_at']).orderBy('id').execute()
    return { site, backup, stampsOf }
  }

  for (const conflictStrategy of ['OVERWRITE', 'SKIP'] as const) {
    it(`given files that are as in the backup, when restored with ${conflictStrategy}, then their contents come back and nothing else changes`, async () => {
      const { site, backup, stampsOf } = await losing()
      await using target = site
      const before = await stampsOf()
      const { result, errorReason, opened } = await target.restore(backup, { setting: { conflictStrategy } })
      assert.deepEqual([result, errorReason], ['SUCCESS', null])
      assert.deepEqual(new Set(opened), new Set(DIGESTS))
      assert.deepEqual(await knownBlobs(target.db.read, DIGESTS), new Set(DIGESTS))
      for (const [n, digest] of DIGESTS.entries()) {
        const bytes = await Array.fromAsync(await target.store.open(digest, undefined, signal))
        assert.equal(Buffer.concat(bytes).toString(), TEXTS[n])
      }
      assert.deepEqual(await stampsOf(), before)
      assert.deepEqual((await target.restore(backup, { setting: { conflictStrategy } })).opened, [])
    })
  }

  it('given a content that the backup does not have either, when restored, then its file is an error entry', async () => {
    const { site, backup } = await losing()
    await using target = site
    const contents = new Map(backup.contents)
    contents.delete(DIGESTS[0]!)
    const { result, report } = await target.restore({ ...backup, contents })
    assert.equal(result, 'PARTIAL')
    const paths = (report!.errors as { path: string }[]).map((error) => error.path)
    assert.deepEqual(paths, ['demo/files/a.txt'])
  })
})
