import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { logSums, makePackageRepository } from '../../../test/helpers/packages.ts'
import type { ReadableBackup } from '../../../test/helpers/restore-activity.ts'
import { restoreSite, type Site } from '../../../test/helpers/restore-site.ts'
import { digestBytes } from '../../core/digest.ts'

const [MAIN, SUM] = ['/tool/1.0/tool.tgz', '/tool/1.0/sum']
const NODES = 'demo/rds/node.json'

/** What a version gives its clients. */
async function filesOf({ db }: Site): Promise<Record<string, string>> {
  const texts = ['old main', 'old sum', 'new main', 'new sum']
  const rows = await db.read
    .selectFrom('version_file')
    .innerJoin('node', (join) => join.onRef('node.path', '=', 'version_file.path').on('node.deleted_at', 'is', null))
    .select(['version_file.path', 'node.sha256'])
    .execute()
  const textOf = (sha256: Uint8Array | null) =>
    texts.find((text) => sha256 !== null && Buffer.compare(digestBytes(digestOf(text)), sha256) === 0)
  return Object.fromEntries(rows.map(({ path, sha256 }) => [path, textOf(sha256) ?? '']))
}
/** The records of nodes, or others, with one of them changed. */
function changing(backup: ReadableBackup, path: string, change: object, file = NODES): ReadableBackup {
  const lines = backup.files.get(file)!.trimEnd().split('\n')
  const changed = lines.map((line) => (line.includes(path) ? JSON.stringify({ ...JSON.parse(line), ...change }) : line))
  return { ...backup, files: new Map([...backup.files, [file, `${changed.join('\n')}\n`]]) }
}
function without(backup: ReadableBackup, text: string): ReadableBackup {
  const contents = new Map(backup.contents)
  contents.delete(digestOf(text))
  return { ...backup, contents }
}

eachDatabase('versions of which not all files can be restored', (make) => {
  async function backedUp(): Promise<ReadableBackup> {
    await using source = await restoreSite(make)
    const rds = await makePackageRepository(source)
    await source.publish(rds, 'tool', '1.0', { [MAIN]: 'new main', [SUM]: 'new sum' })
    return await source.backUp()
  }
  const broken: readonly [string, (backup: ReadableBackup) => ReadableBackup][] = [
    ['a content that is missing', (backup) => without(backup, 'new sum')],
    ['a record that is broken', (backup) => changing(backup, SUM, { size: -1 })],
  ]
  const standing: readonly Record<string, string>[] = [{ [MAIN]: 'old main', [SUM]: 'old sum' }, { [MAIN]: 'old main' }]
  for (const [what, spoil] of broken) {
    for (const there of standing) {
      it(`given ${what}, when a version of ${Object.keys(there).length} files is here, then it stays as it is`, async () => {
        const backup = spoil(await backedUp())
        await using target = await restoreSite(make)
        const rds = await makePackageRepository(target)
        await target.publish(rds, 'tool', '1.0', there)
        await target.clock.advance(1_000)
        const { result, report } = await target.restore(backup)
        assert.equal(result, 'PARTIAL')
        const [, version] = report!.errors as { path: string; reason: string }[]
        assert.deepEqual(version, {
          path: 'demo/rds: rds://tool 1.0',
          reason: `its file [${SUM}] was not restored`,
        })
        assert.deepEqual(await filesOf(target), there)
        const { logged, live } = await logSums(target, rds.id)
        assert.deepEqual(logged, live)
      })
    }
  }

  it('given a version whose record is broken, when it is here with other bytes, then it stays as it is', async () => {
    const backup = changing(await backedUp(), MAIN, { downloads: -1 }, 'demo/rds/package-version.json')
    await using target = await restoreSite(make)
    await target.publish(await makePackageRepository(target), 'tool', '1.0', standing[0]!)
    await target.clock.advance(1_000)
    const { result, report } = await target.restore(backup)
    assert.deepEqual([result, (report!.errors as unknown[]).length], ['PARTIAL', 1])
    assert.deepEqual(await filesOf(target), standing[0])
  })

  it('given a file whose time is over, when its version is restored, then it is left out with a warning, and one that is here stays', async () => {
    const backup = changing(await backedUp(), SUM, { expireDate: '2001-01-01T00:00:00.000Z' })
    await using empty = await restoreSite(make)
    await using target = await restoreSite(make)
    await target.publish(await makePackageRepository(target), 'tool', '1.0', standing[0]!)
    await target.clock.advance(1_000)
    for (const site of [empty, target]) {
      const { result, errorReason, run } = await site.restore(backup)
      assert.equal(result, 'SUCCESS')
      assert.match(
        errorReason!,
        /\[demo\/rds\]: rds:\/\/tool 1\.0 was left out: the time of one of their files is over/,
      )
      assert.equal(run.progress.now.versions, 1)
    }
    assert.deepEqual(await filesOf(target), standing[0])
    assert.deepEqual(await empty.live(), ['rds/tool', 'rds/tool/1.0', `rds${MAIN}`])
    assert.deepEqual(await empty.db.read.selectFrom('package').select('id').execute(), [])
  })
})
