import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, fileWrite, makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { putFiles } from '../../artifacts/nodes/node-writer.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { createFingerprints } from '../../metadata/fingerprints/fingerprints.ts'
import { listFiles } from '../../metadata/replication/source-files.ts'
import { ABSENT } from '../delivery/work-item.ts'
import { repositoryFingerprints } from '../recon/repository-fingerprints.ts'
import type { Difference } from './difference.ts'
import { planShards } from './plan-shards.ts'

const GIB = 1024 ** 3

/** A repository of files of these sizes, as if all of it were missing at the target. */
async function source(db: MetadataDatabase, sizes: readonly number[]) {
  const on = artifactServices(db)
  const repository = await makeRepository(on)
  const name = (n: number) => `/d${String(n % 7)}/f${String(n).padStart(6, '0')}`
  for (let at = 0; at < sizes.length; at += 500) {
    const writes = sizes.slice(at, at + 500).map((sizeBytes, n) => fileWrite(on, name(at + n), 'x', { sizeBytes }))
    await db.transact((trx) => putFiles(trx, repository, writes, new Map(), on.clock.now()))
  }
  const fingerprints = repositoryFingerprints(createFingerprints(db), repository.id)
  const deps = { reader: db.read, repoId: repository.id, fingerprints, now: on.clock.now(), streams: 4 }
  const plan = (change: Partial<Difference>) =>
    planShards(deps, { ranges: [], paths: [], deletions: [], kept: [], files: sizes.length, ...change } as Difference)
  return { repository, plan }
}

eachDatabase('planning shards', (make) => {
  it('given a repository that is missing as a whole, when cut, then every file is in exactly one shard, in order', async () => {
    await using db = await make()
    const { repository, plan } = await source(db, Array(5_000).fill(1))
    const shards = await plan({ ranges: [EVERY_PATH] })
    assert.ok(shards.length >= 4, `${shards.length} shards`)
    assert.deepEqual(
      shards.map(({ shardNo }) => shardNo),
      shards.map((_, index) => index + 1),
    )
    let files = 0
    for (const { lo, hi, files: estimated } of shards) {
      const there = await listFiles(
        db.read,
        repository.id,
        { ranges: [{ lo, hi }], after: undefined, limit: 10_000 },
        0,
      )
      assert.equal(there.length, estimated)
      files += there.length
    }
    assert.equal(files, 5_000)
    assert.deepEqual([shards[0]!.lo, shards.at(-1)!.hi], [EVERY_PATH.lo, EVERY_PATH.hi])
  })

  it('given few files of many bytes, when cut, then a shard holds 4 GiB, and a larger file is one by itself', async () => {
    await using db = await make()
    const { plan } = await source(db, [GIB, GIB, 5 * GIB, GIB, GIB])
    const shards = await plan({ ranges: [EVERY_PATH] })
    assert.ok(shards.every(({ bytes, files }) => bytes <= 4 * GIB || files === 1))
    assert.equal(
      shards.reduce((sum, { bytes }) => sum + bytes, 0),
      9 * GIB,
    )
  })

  it('given named paths, when cut, then shards have their paths, and are bounded in files and bytes', async () => {
    await using db = await make()
    const { plan } = await source(db, [])
    const small = Array.from({ length: 2_500 }, (_, n) => ({ path: `/a${n + 10_000}`, sizeBytes: 1, expect: ABSENT }))
    const large = [5, 2, 2, 1].map((gib, n) => ({ path: `/b${n}`, sizeBytes: gib * GIB, expect: ABSENT }))
    const shards = await plan({ paths: [...small, ...large], files: 2_504 })
    assert.deepEqual(
      shards.map(({ kind, files, paths }) => [kind, files, paths.length]),
      [
        ['paths', 1_000, 1_000],
        ['paths', 1_000, 1_000],
        ['paths', 500, 500],
        ['paths', 1, 1],
        ['paths', 2, 2],
        ['paths', 1, 1],
      ],
    )
  })

  it('given nothing to do, when cut, then there is no shard', async () => {
    await using db = await make()
    const { plan } = await source(db, [1])
    assert.deepEqual(await plan({}), [])
  })
})
