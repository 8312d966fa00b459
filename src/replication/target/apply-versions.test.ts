import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { keptRules } from '../../../test/helpers/kept-rules.ts'
import { logSums } from '../../../test/helpers/packages.ts'
import {
  content,
  deletion,
  entry,
  OTHER_LINK,
  stampAt,
  streamTarget,
  version,
} from '../../../test/helpers/stream-target.ts'
import type { PackageRules } from '../../artifacts/packages/package-rules.ts'
import type { PackageKey } from '../../core/package-key.ts'
import { packagePath, versionPath } from '../../core/package-key.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { VersionDocument } from '../../remotes/cluster/frames/frame.ts'

const KEY = 'rds://p' as PackageKey
const FILES = { '/p/1/notes': 'notes', '/p/1/main': 'main' }

async function target(db: MetadataDatabase, rules: Partial<PackageRules> = {}) {
  const on = await streamTarget(db, 'packages', rules)
  const versions = async () => {
    const rows = await db.read.selectFrom('package_version').selectAll().orderBy('name').execute()
    return rows.map(({ name }) => name)
  }
  const packages = () => db.read.selectFrom('package').selectAll().execute()
  /** Sends the contents and the version. */
  const publish = (files: Readonly<Record<string, string>>, name = '1', more: Partial<VersionDocument> = {}) => [
    ...Object.values(files).map((text, n) => content(n + 1, text)),
    version(Object.keys(files).length + 1, KEY, name, files, more),
  ]
  return { ...on, versions, packages, publish }
}

eachDatabase('applying versions', (make) => {
  it('given contents before it, when a version comes, then it is there with all its files and its words, and the log says so', async () => {
    await using db = await make()
    const on = await target(db)
    const words = { metadata: [{ key: 'k', value: 1 }], tags: ['t'], stageTags: ['@release'], extension: { a: 1 } }
    assert.deepEqual(await on.deliver(on.publish(FILES, '1', words)), ['written', 'written', 'written'])
    assert.deepEqual(await on.files(), { '/p/1/main': 'main', '/p/1/notes': 'notes' })
    const row = await db.read.selectFrom('package_version').selectAll().executeTakeFirstOrThrow()
    const shown = {
      size: row.size,
      main: row.artifact_path,
      by: row.created_by,
      hlc: row.hlc,
      extension: row.extension,
    }
    assert.deepEqual(shown, { size: 9, main: '/p/1/main', by: 'alice', hlc: stampAt(0), extension: '{"a":1}' })
    assert.deepEqual(JSON.parse(row.metadata), [
      { key: 'k', value: 1 },
      { key: 'sourceType', value: 'REPLICATION', system: true },
    ])
    const [owner] = await on.packages()
    assert.deepEqual([owner!.latest, owner!.versions, owner!.version_tag], ['1', 1, '{"stable":"1"}'])
    const { logged, live } = await logSums({ db }, on.repository.id)
    assert.deepEqual(logged, live)
  })

  it('given a version that is there, when it comes again, then nothing is written and the log has no row', async () => {
    await using db = await make()
    const on = await target(db)
    await on.deliver(on.publish(FILES))
    const before = await on.logRows()
    assert.deepEqual(await on.deliver([version(1, KEY, '1', FILES)]), ['delivered'])
    assert.deepEqual(await on.deliver([version(1, KEY, '1', FILES)], { run: 2 }), ['unchanged'])
    assert.deepEqual(await on.deliver([version(1, KEY, '1', FILES)], {}, OTHER_LINK), ['unchanged'])
    assert.equal(await on.logRows(), before)
  })

  it('given a content that is not here, when a version comes, then no-blob, and neither package nor file is left', async () => {
    await using db = await make()
    const on = await target(db)
    assert.deepEqual(await on.deliver([content(1, 'notes'), version(2, KEY, '1', FILES)]), ['written', 'no-blob'])
    assert.deepEqual([await on.versions(), await on.packages(), await on.files()], [[], [], {}])
    assert.equal(await on.logRows(), 0)
  })

  it('given a damaged content, when it comes, then it is to be sent again, and its version waits for it', async () => {
    await using db = await make()
    const on = await target(db)
    const damaged = { ...content(1, 'notes'), content: Buffer.from('noteS') }
    const [first, second, third] = await on.deliver([damaged, content(2, 'main'), version(3, KEY, '1', FILES)])
    assert.match(first!, /^retry/)
    assert.deepEqual([second, third], ['written', 'no-blob'])
  })

  for (const [conflictStrategy, result, main] of [
    ['SKIP', 'kept', 'theirs'],
    ['OVERWRITE', 'replaced', 'main'],
    [
      'FAST_FAIL',
      'conflict: Version [1] of package [rds://p] conflict: the target has other content there. Delete or rename it there, or let the task OVERWRITE it, or SKIP it',
      'theirs',
    ],
  ] as const) {
    it(`given another version of that name, when one comes with ${conflictStrategy}, then all its files stay together`, async () => {
      await using db = await make()
      const on = await target(db)
      const theirs = { '/p/1/extra': 'extra', '/p/1/main': 'theirs' }
      await on.deliver(on.publish(theirs), {}, OTHER_LINK)
      const [, , outcome] = await on.deliver(on.publish(FILES), { conflictStrategy })
      assert.equal(outcome, result)
      const expected = conflictStrategy === 'OVERWRITE' ? { '/p/1/main': main, '/p/1/notes': 'notes' } : theirs
      assert.deepEqual(await on.files(), expected)
      const { logged, live } = await logSums({ db }, on.repository.id)
      assert.deepEqual(logged, live)
    })
  }

  it('given a version that this link wrote, when it changed at the source, then it goes forward without a conflict', async () => {
    await using db = await make()
    const on = await target(db)
    await on.deliver(on.publish(FILES))
    const next = { '/p/1/main': 'MAIN', '/p/1/more': 'more' }
    assert.deepEqual(await on.deliver(on.publish(next), { conflictStrategy: 'FAST_FAIL', run: 2 }), [
      ...['written', 'written', 'written'],
    ])
    assert.deepEqual(await on.files(), next)
  })

  it('given a plain file of somebody else at a path of a version, when it comes, then the strategy decides about the version', async () => {
    await using db = await make()
    const on = await target(db)
    await on.deliver([entry(1, '/p/1/notes', 'theirs')], {}, OTHER_LINK)
    assert.equal((await on.deliver(on.publish(FILES))).at(-1), 'kept')
    assert.deepEqual(await on.versions(), [])
    assert.equal((await on.deliver(on.publish(FILES), { conflictStrategy: 'OVERWRITE' })).at(-1), 'replaced')
    assert.deepEqual(await on.files(), { '/p/1/main': 'main', '/p/1/notes': 'notes' })
  })

  it('given a file that another version of somebody else needs, when a version would overwrite it, then it is refused', async () => {
    await using db = await make()
    const on = await target(db)
    await on.deliver(on.publish({ '/shared': 'theirs', '/p/0/main': 'main' }, '0'), {}, OTHER_LINK)
    const wanted = { '/shared': 'ours', '/p/1/main': 'main' }
    const results = await on.deliver(on.publish(wanted), { conflictStrategy: 'OVERWRITE' })
    assert.match(results.at(-1)!, /^refused: another version of the target has the file \[\/shared\]/)
    assert.deepEqual(await on.versions(), ['0'])
  })

  it('given two versions that share a file, when they come together, then it is written once, and stays with the last of them', async () => {
    await using db = await make()
    const on = await target(db)
    const [one, two] = [
      { '/shared': 's', '/p/1/main': '1' },
      { '/shared': 's', '/p/2/main': '2' },
    ]
    const contents = ['s', '1', '2'].map((text, n) => content(n + 1, text))
    await on.deliver([...contents, version(4, KEY, '1', one), version(5, KEY, '2', two)])
    assert.deepEqual(await on.versions(), ['1', '2'])
    const gone = deletion(1, versionPath(KEY, '1'), { hlc: stampAt(5) })
    assert.deepEqual(await on.deliver([gone], { run: 2 }), ['written'])
    assert.deepEqual(await on.files(), two)
    const last = deletion(1, versionPath(KEY, '2'), { hlc: stampAt(5) })
    assert.deepEqual(await on.deliver([last], { run: 2 }), ['written'])
    assert.deepEqual([await on.files(), await on.packages()], [{}, []])
    const { logged } = await logSums({ db }, on.repository.id)
    assert.deepEqual(logged, [0, 0, 0, 0, 0, 0, 0, 0, 0])
  })

  it('given tags of versions that are not here yet, when the versions come in any order, then the package says the same in the end', async () => {
    await using db = await make()
    const on = await target(db)
    const tags = { latest: '2', old: '1' }
    const say = (item: number, name: string) => version(item, KEY, name, { [`/p/${name}/main`]: name }, {}, tags)
    await on.deliver([content(1, '1'), say(2, '1')])
    assert.equal((await on.packages())[0]!.version_tag, '{"old":"1"}')
    await on.deliver([content(1, '2'), say(2, '2')])
    const [owner] = await on.packages()
    assert.deepEqual([JSON.parse(owner!.version_tag), owner!.latest], [tags, '2'])
    // Moved, without any version.
    const moved = version(1, KEY, '', {}, {}, { latest: '1' })
    assert.deepEqual(await on.deliver([moved]), ['written'])
    assert.equal((await on.packages())[0]!.latest, '1')
  })

  it('given frames that no source sends, when they come, then each is refused for its own reason', async () => {
    await using db = await make()
    const on = await target(db)
    const twice = version(1, KEY, '1', FILES)
    const results = await on.deliver([
      { ...twice, packageKey: 'npm://p' },
      { ...twice, item: 2, version: 'a\u0001b' },
      { ...version(3, KEY, '2', { '/a/../b': 'x' }) },
      { ...version(4, KEY, '3', {}) },
      deletion(5, packagePath(KEY)),
      deletion(6, versionPath('npm://p' as PackageKey, '1')),
    ])
    const reasons = results.map((result) => result.replace(/^refused: /, '').slice(0, 34))
    assert.deepEqual(reasons, [
      'Parameter [packageKey] is invalid:',
      'Parameter [version] is invalid: it',
      'Path [/b] is not in its normal for',
      'Parameter [files] is invalid: exac',
      'Parameter [path] is invalid: a del',
      'Parameter [packageKey] is invalid:',
    ])
    assert.equal(await on.logRows(), 0)
  })

  it('given a quota, when a version does not fit, then it alone is refused, with all its files', async () => {
    await using db = await make()
    const on = await target(db)
    await on.on.quotas.set(on.repository, 12, 'admin')
    const big = { '/p/1/main': '1234567890123' }
    const results = await on.deliver([
      ...['1234567890123', 'small'].map((text, n) => content(n + 1, text)),
      version(3, KEY, '1', big),
      version(4, KEY, '2', { '/p/2/main': 'small' }),
    ])
    assert.match(results[2]!, /^refused: the target's repository is over its quota/)
    assert.equal(results[3], 'written')
    assert.deepEqual(await on.files(), { '/p/2/main': 'small' })
  })

  it('given versions that stay under their digest, when others replace them, then they do, once for each digest', async () => {
    await using db = await make()
    const on = await target(db, keptRules)
    const digestIs = (digest: string) => ({ extension: { digest } })
    await on.deliver([
      ...on.publish(FILES, '1', digestIs('d:1')),
      content(10, 'm2'),
      version(11, KEY, '2', { '/p/1/notes': 'notes', '/p/2/main': 'm2' }, digestIs('d:1')),
    ])
    const both = [
      content(1, 'new1'),
      version(2, KEY, '1', { '/p/1/main': 'new1' }, digestIs('d:2')),
      content(3, 'new2'),
      version(4, KEY, '2', { '/p/2/main': 'new2' }, digestIs('d:3')),
    ]
    assert.deepEqual(await on.deliver(both, { run: 2 }), ['written', 'written', 'written', 'written'])
    assert.deepEqual(await on.versions(), ['1', '2', 'd:1'])
    const { '/kept/d-1': kept, ...others } = await on.files()
    assert.ok(kept === 'main' || kept === 'm2')
    assert.deepEqual(others, { '/p/1/main': 'new1', '/p/1/notes': 'notes', '/p/2/main': 'new2' })
    const [owner] = await on.packages()
    assert.deepEqual([owner!.versions, owner!.latest], [2, '2'])
    // The source keeps it as well, and sends it: it is there.
    const files = { '/p/1/notes': 'notes', '/kept/d-1': kept! }
    assert.deepEqual(await on.deliver([version(1, KEY, 'd:1', files, digestIs('d:1'))], { run: 3 }), ['unchanged'])
    const { logged, live } = await logSums({ db }, on.repository.id)
    assert.deepEqual(logged, live)
  })

  it('given a package with nothing but unlisted versions, when another comes, then the package is not taken for a new one', async () => {
    await using db = await make()
    const on = await target(db, keptRules)
    await on.deliver(on.publish(FILES, 'd:1', { extension: { digest: 'd:1' } }))
    await on.deliver(on.publish({ '/p/2/main': 'two' }, 'd:2', { extension: { digest: 'd:2' } }), { run: 2 })
    const [owner] = await on.packages()
    assert.deepEqual([owner!.versions, owner!.latest], [0, ''])
    const { logged, live } = await logSums({ db }, on.repository.id)
    assert.deepEqual(logged, live)
  })
})
