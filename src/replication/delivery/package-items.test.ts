import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fileWrite } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { makePackageRepository, packageServices } from '../../../test/helpers/packages.ts'
import { lockLive, putFiles } from '../../artifacts/nodes/node-writer.ts'
import { type PackageKey, packagePath, versionPath } from '../../core/package-key.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { createFingerprints } from '../../metadata/fingerprints/fingerprints.ts'
import { countArtifactsIn } from '../planning/package-artifacts.ts'
import { selectPackages } from '../planning/package-scope.ts'
import { repositoryFingerprints } from '../recon/repository-fingerprints.ts'
import { itemsAt } from './items-at.ts'
import { slicesByFiles } from './package-items.ts'
import { packageRangeItems } from './package-ranges.ts'
import { filesOf, type WorkItem } from './work-item.ts'

const LIB = 'rds://lib' as PackageKey
const TOOL = 'rds://tool' as PackageKey

async function source(db: MetadataDatabase) {
  const on = packageServices(db)
  const repository = await makePackageRepository(on)
  const put = (...paths: string[]) =>
    db.transact(async (trx) => {
      const writes = paths.map((path) => fileWrite(on, path, path))
      const rows = await lockLive(
        trx,
        repository.id,
        writes.map(({ path }) => path),
      )
      await putFiles(trx, repository, writes, rows, on.clock.now())
    })
  await on.publish(repository, 'lib', '1', { '/lib/1/main': 'one', '/lib/1/notes': 'n' })
  await on.publish(repository, 'lib', '2', { '/lib/2/main': 'two', '/lib/1/notes': undefined })
  await on.publish(repository, 'tool', '1', { '/tool/1/main': 'tool' })
  await put('/plain', '/lib/readme')
  const packages = selectPackages(undefined, 'RDS', 'all')
  const scope = { repository, packages, ranges: [...packages.ranges, EVERY_PATH] }
  const at = (paths: readonly string[], wanted: Parameters<typeof itemsAt>[1] = scope) =>
    itemsAt(
      db,
      wanted,
      paths.map((path) => ({ path, expect: null })),
      on.clock.now(),
    )
  const fingerprints = repositoryFingerprints(createFingerprints(db), repository.id)
  const count = (wanted: Parameters<typeof countArtifactsIn>[1], within = wanted.ranges) =>
    countArtifactsIn({ reader: db.read, fingerprints, now: on.clock.now() }, wanted, within)
  return { ...on, repository, scope, at, count }
}
const shown = (items: readonly WorkItem[]) => items.map(({ kind, path }) => [kind, path])

eachDatabase('items of packages', (make) => {
  it('given changed paths of owned files, of versions, packages and plain files, when looked up, then each version comes once, before the files', async () => {
    await using db = await make()
    const on = await source(db)
    const items = await on.at(['/lib/1/main', '/lib/1/notes', '/plain', versionPath(LIB, '1'), packagePath(LIB)])
    assert.deepEqual(shown(items), [
      ['package', packagePath(LIB)],
      ['version', versionPath(LIB, '1')],
      ['version', versionPath(LIB, '2')],
      ['file', '/plain'],
    ])
    const [, one, two] = items
    assert.deepEqual(
      filesOf(one!).map(({ path }) => path),
      ['/lib/1/notes', '/lib/1/main'],
    )
    assert.equal(one?.kind === 'version' && one.derived, undefined)
    assert.equal(two?.kind === 'version' && two.derived, true)
  })

  it('given places of versions and packages that are gone, when looked up, then nothing comes', async () => {
    await using db = await make()
    const on = await source(db)
    await on.deletion.deleteVersion(on.repository, TOOL, '1', 'alice')
    assert.deepEqual(
      await on.at([versionPath(TOOL, '1'), packagePath(TOOL), versionPath(LIB, '9'), '/tool/1/main']),
      [],
    )
  })

  it('given a whole repository, when counted and listed, then versions and unowned files are its artifacts', async () => {
    await using db = await make()
    const on = await source(db)
    assert.deepEqual(await on.count(on.scope), { files: 5, inside: 5, silent: [] })
    assert.deepEqual(await on.count(on.scope, [EVERY_PATH]), { files: 5, inside: 2, silent: [] })
    const listed: WorkItem[] = []
    for await (const page of packageRangeItems(db, on.scope, on.scope.ranges, undefined, on.clock)) listed.push(...page)
    assert.deepEqual(shown(listed), [
      ['version', versionPath(LIB, '1')],
      ['version', versionPath(LIB, '2')],
      ['version', versionPath(TOOL, '1')],
      ['file', '/lib/readme'],
      ['file', '/plain'],
    ])
    const rest: WorkItem[] = []
    const after = versionPath(LIB, '2')
    for await (const page of packageRangeItems(db, on.scope, on.scope.ranges, after, on.clock)) rest.push(...page)
    assert.deepEqual(shown(rest), shown(listed.slice(2)))
  })

  it('given constraints with a pattern, when counted and looked up, then the filter decides about versions', async () => {
    await using db = await make()
    const on = await source(db)
    const packages = selectPackages(
      [{ packageKey: null, versions: null, packageRegex: 'l.*', versionRegex: '[2-9]' }],
      'RDS',
      'all',
    )
    const scope = { repository: on.repository, packages, ranges: packages.ranges }
    assert.equal((await on.count(scope)).files, 1)
    const places = [versionPath(LIB, '1'), versionPath(LIB, '2'), versionPath(TOOL, '1'), packagePath(TOOL)]
    assert.deepEqual(shown(await on.at(places, scope)), [['version', versionPath(LIB, '2')]])
  })

  it('given a scope of paths, when counted, then a version counts once by any of its files', async () => {
    await using db = await make()
    const on = await source(db)
    const packages = selectPackages(undefined, 'RDS', 'none')
    const scope = { repository: on.repository, packages, ranges: [{ lo: '/lib/', hi: '/lib0' }] }
    assert.equal((await on.count(scope)).files, 3)
  })

  it('given versions of many files, when cut, then each slice has few files, or one version', async () => {
    await using db = await make()
    const on = await source(db)
    const many = Object.fromEntries(Array.from({ length: 1_990 }, (_, n) => [`/big/${n}`, 'same']))
    await on.publish(on.repository, 'big', '1', many)
    const planned = [versionPath('rds://big' as PackageKey, '1'), ...['1', '2'].map((name) => versionPath(LIB, name))]
    for (let n = 0; n < 10; n++) planned.push(`/f${n}`)
    const slices = await slicesByFiles(
      db.read,
      on.repository.id,
      planned.map((path) => ({ path })),
    )
    assert.deepEqual(
      slices.map(({ length }) => length),
      [9, 4],
    )
  })

  it('given keys of images, when selected, then either scheme means both', () => {
    const { ranges, named } = selectPackages([{ packageKey: 'oci://app', versions: [] }], 'DOCKER', 'all')
    assert.equal(ranges.length, 2)
    assert.deepEqual(named[0]?.keys, ['oci://app', 'docker://app'])
    assert.throws(() => selectPackages([{ packageKey: 'npm://app', versions: [] }], 'DOCKER', 'all'), /packageKey/)
  })
})
