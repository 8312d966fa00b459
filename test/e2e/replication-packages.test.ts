import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect } from '../helpers/local-cluster.ts'
import { type PackageDetail, packagedClusters } from '../helpers/packaged-clusters.ts'
import { caughtUp, liveTask, overviewOf, REAL_TIME, recordsOf, until } from '../helpers/real-time.ts'
import { counts } from '../helpers/two-clusters.ts'

eachDialect('replication of packages', (dialect) => {
  it('given versions and plain files, when replicated, then versions are one artifact each, with all their files, and a second run asks once', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, read, view, task } = packed
    await publish(on.a, 'lib/1.0.0', 'one', 'notes=first&note=n&description=a+lib')
    await publish(on.a, 'lib/1.1.0', 'two', 'notes=second&tag=latest')
    await publish(on.a, 'tool/0.1.0', 'x'.repeat(200_000))
    await on.a.api.upload('proj/packages', '/readme.txt', Buffer.from('plain'), {}, t.signal)
    const { key, ...run } = await on.replicate(task())
    assert.equal(run.record.errorReason, null)
    assert.equal(counts(run), '4/0/0/0')
    assert.equal(run.overview.fileSuccess, 6)
    assert.deepEqual(
      (run.details as readonly PackageDetail[])
        .map(({ artifactName, version, size, sha256, packageConstraint }: PackageDetail) => [
          ...[artifactName, version, size, sha256 === null, packageConstraint],
        ])
        .sort(),
      [
        ['/readme.txt', null, 5, false, null],
        ['lib', '1.0.0', 8, true, { packageKey: 'rds://lib', versions: ['1.0.0'] }],
        ['lib', '1.1.0', 9, true, { packageKey: 'rds://lib', versions: ['1.1.0'] }],
        ['tool', '0.1.0', 200_000, true, { packageKey: 'rds://tool', versions: ['0.1.0'] }],
      ],
    )
    assert.deepEqual(await packed.paths(on.b), await packed.paths(on.a))
    assert.deepEqual(await view(on.b, 'lib'), await view(on.a, 'lib'))
    assert.equal(await read(on.b, 'lib/1.1.0'), 'two')
    assert.equal(await read(on.b, 'lib/1.1.0', 'notes'), 'second')

    const before = on.line.seen.length
    const second = await on.again(key)
    assert.equal(counts(second), '0/4/0/0')
    assert.deepEqual(second.details, [])
    assert.equal(on.line.seen.length - before, 1)
  })

  it('given another version and a moved tag, when run again, then only these travel, by cursor and by comparing alike', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, read, view, task } = packed
    await publish(on.a, 'lib/1.0.0', 'one', 'tag=stable')
    await publish(on.a, 'lib/2.0.0-rc.1', 'two', 'tag=latest')
    const { key } = await on.replicate(task({ setting: { conflictStrategy: 'SKIP' } }))
    assert.deepEqual(await view(on.b, 'lib'), await view(on.a, 'lib'))

    await publish(on.a, 'lib/2.0.0', 'three', 'tag=latest')
    assert.equal(counts(await on.again(key)), '1/2/0/0')
    assert.deepEqual(await view(on.b, 'lib'), await view(on.a, 'lib'))

    // Somebody at the target wrote in the scope: the cursor does not count, sums do.
    await on.b.api.upload('proj/packages', '/theirs.txt', Buffer.from('t'), {}, t.signal)
    await publish(on.a, 'lib/2.0.0', 'THREE', 'overwrite=true&notes=now')
    await publish(on.a, 'other/1.0.0', 'o')
    const third = await on.again(key)
    assert.equal(counts(third), '2/2/0/0')
    assert.deepEqual(third.details.map(({ artifactName }) => artifactName).sort(), ['lib', 'other'])
    assert.equal(await read(on.b, 'lib/2.0.0'), 'THREE')
    assert.equal(await read(on.b, 'lib/2.0.0', 'notes'), 'now')
    assert.equal(counts(await on.again(key)), '0/4/0/0')
  })

  it('case 37: given a version that only the target has, when replicated, then both are there, and the target says what is said of them', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, view, read, task } = packed
    await on.b.api.call(
      'POST',
      '/repository/api/project/create',
      { name: 'proj', displayName: 'proj', description: '' },
      t.signal,
    )
    const made = { projectId: 'proj', name: 'packages', type: 'RDS', public: true }
    await on.b.api.call('POST', '/repository/api/repo/create', made, t.signal)
    await publish(on.b, 'lib/2.0.0', 'theirs', 'tag=latest&description=theirs')
    await publish(on.a, 'lib/1.0.0', 'ours', 'description=ours')
    assert.equal(counts(await on.replicate(task())), '1/0/0/0')
    assert.deepEqual(await view(on.b, 'lib'), {
      latest: '2.0.0',
      tags: { latest: '2.0.0' },
      versions: ['1.0.0', '2.0.0'],
    })
    assert.deepEqual([await read(on.b, 'lib/1.0.0'), await read(on.b, 'lib/2.0.0')], ['ours', 'theirs'])
  })

  for (const [strategy, expected, content] of [
    ['SKIP', '1/1/0/1', 'theirs'],
    ['OVERWRITE', '2/0/0/1', 'ours'],
    ['FAST_FAIL', '1/0/1/1', 'theirs'],
  ] as const) {
    it(`given another content of a version at the target, when replicated with ${strategy}, then the version as a whole is decided about`, async (t) => {
      await using packed = await packagedClusters(dialect, t.signal)
      const { on, publish, read, task } = packed
      await publish(on.a, 'lib/1.0.0', 'same')
      await on.replicate(task())
      await publish(on.a, 'lib/2.0.0', 'ours', 'notes=ours')
      await publish(on.b, 'lib/2.0.0', 'theirs')
      await publish(on.a, 'lib/3.0.0', 'new')
      const { key, ...run } = await on.replicate(task({ setting: { conflictStrategy: strategy } }))
      const unchanged = 1
      const [success, skip, ...rest] = expected.split('/').map(Number) as [number, number, number, number]
      assert.equal(counts(run), [success, skip + unchanged, ...rest].join('/'))
      const detail = run.details.find((one) => (one as PackageDetail).version === '2.0.0')!
      assert.deepEqual(
        [detail.conflictStrategy, detail.status],
        [strategy, strategy === 'FAST_FAIL' ? 'FAILED' : 'SUCCESS'],
      )
      assert.equal(await read(on.b, 'lib/2.0.0'), content)
      assert.equal(await read(on.b, 'lib/2.0.0', 'notes'), strategy === 'OVERWRITE' ? 'ours' : undefined)
      assert.equal(await read(on.b, 'lib/3.0.0'), 'new')
      // What is kept is known to be kept, and what is equal stays so.
      const again = await on.again(key)
      if (strategy === 'SKIP') assert.equal(counts(again), '0/3/0/1')
      if (strategy === 'OVERWRITE') assert.equal(counts(again), '0/3/0/0')
    })
  }

  it('case 20: given a REPOSITORY task with package constraints, when created and run, then only these versions are copied', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, view, task } = packed
    for (const version of ['lib/1.0.0', 'lib/2.0.0', 'lib/3.0.0', 'tool/1.0.0', 'other/1.0.0'])
      await publish(on.a, version, version)
    await on.a.api.upload('proj/packages', '/plain.txt', Buffer.from('p'), {}, t.signal)
    const packageConstraints = [{ packageKey: 'rds://lib', versions: ['1.0.0', '2.0.0'] }, { packageKey: 'rds://tool' }]
    const run = await on.replicate(task({}, { packageConstraints }))
    assert.equal(counts(run), '3/0/0/0')
    assert.deepEqual((await view(on.b, 'lib'))?.versions, ['1.0.0', '2.0.0'])
    assert.deepEqual((await view(on.b, 'tool'))?.versions, ['1.0.0'])
    assert.equal(await view(on.b, 'other'), undefined)
    assert.deepEqual(
      (await packed.paths(on.b)).filter((path) => path === '/plain.txt'),
      [],
    )
    const shown = await on.a.api.call<{
      task: { replicaObjectType: string }
      objects: { packageConstraints: unknown }[]
    }>(...(['GET', `/replication/api/task/detail/${run.key}`, undefined, t.signal] as const))
    assert.equal(shown.task.replicaObjectType, 'REPOSITORY')
    const second = await on.again(run.key)
    assert.equal(counts(second), '0/3/0/0')
  })

  it('case 35: given versions, no versions and unknown ones, when run, then the rest is done and each unknown one has a FAILED row', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, view, task } = packed
    for (const version of ['lib/1.0.0', 'lib/2.0.0', 'tool/1.0.0', 'tool/1.1.0']) await publish(on.a, version, version)
    const packageConstraints = [
      { packageKey: 'rds://lib', versions: ['1.0.0', '9.0.0'] },
      { packageKey: 'rds://tool', versions: [] },
      { packageKey: 'rds://none', versions: ['1'] },
    ]
    const changes = task({ replicaObjectType: 'PACKAGE' }, { packageConstraints })
    const run = await on.replicate(changes)
    assert.equal(counts(run), '3/0/2/0')
    const failed = (run.details as readonly PackageDetail[]).filter(({ status }) => status === 'FAILED')
    assert.deepEqual(
      failed
        .map(({ artifactName, version, errorReason }) => [artifactName, version, /\((\d+)\)/.exec(errorReason!)?.[1]])
        .sort(),
      [
        ['lib', '9.0.0', '251019'],
        ['none', null, '251017'],
      ],
    )
    assert.deepEqual((await view(on.b, 'tool'))?.versions, ['1.0.0', '1.1.0'])
  })

  it('given expressions that no version fits, when planned and run, then each has a FAILED row in its own words, and the rest is done', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, view, task } = packed
    for (const version of ['lib/1.0.0', 'lib/2.0.0', 'tool/1.0.0']) await publish(on.a, version, version)
    const packageConstraints = [
      { packageRegex: 'lib', versionRegex: '1\\..*' },
      { packageRegex: 'nothing-.*' },
      { packageKey: 'rds://tool', versionRegex: '[2-9].*' },
      { packageKey: 'rds://none', versionRegex: '.*' },
    ]
    const { key, ...run } = await on.replicate(task({ replicaObjectType: 'PACKAGE' }, { packageConstraints }))
    assert.equal(counts(run), '1/0/3/0')
    const failed = run.details.filter(({ status }) => status === 'FAILED')
    const names = failed.map(({ artifactName }) => artifactName).sort()
    assert.deepEqual(names, ['none', 'packageKey [rds://tool], versionRegex [[2-9].*]', 'packageRegex [nothing-.*]'])
    assert.ok(failed.every(({ errorReason }) => /\(2510(17|19)\)/.test(errorReason ?? '')))
    assert.deepEqual((await view(on.b, 'lib'))?.versions, ['1.0.0'])
    const plan = await on.a.api.call<{ total: { counts: object } }>(
      'GET',
      `/replication/api/task/plan/${key}`,
      undefined,
      t.signal,
    )
    assert.deepEqual(plan.total.counts, { send: 0, skip: 1, keep: 0, fail: 3, delete: 0 })
    const proof = await on.a.api.call<{ links: readonly { counts: { missing: number; extra: number } }[] }>(
      'POST',
      `/replication/api/task/verify/${key}`,
      undefined,
      t.signal,
    )
    assert.deepEqual(
      proof.links.map(({ counts: { missing, extra } }) => [missing, extra]),
      [[0, 0]],
      'versions that are not meant are not missing',
    )
  })

  it('given a key of another scheme, or a repository without packages, when a task is created, then it is refused by name', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, task } = packed
    const create = (changes: object) => on.create(changes as never)
    await assert.rejects(create(task({}, { packageConstraints: [{ packageKey: 'npm://lib' }] })), { code: 250105 })
    await assert.rejects(create(task({}, { packageConstraints: [{ packageKey: 'lib' }] })), { code: 250105 })
    const files = { localRepoName: 'files', remoteRepoName: 'files', repoType: 'GENERIC' }
    await assert.rejects(create(task({}, { ...files, packageConstraints: ['rds://lib'] })), { code: 250105 })
  })

  it('given a folder of paths in a package repository, when replicated, then versions that own files there go as a whole', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, view, task } = packed
    await on.a.api.upload('proj/packages', '/shared/layer', Buffer.from('layer'), {}, t.signal)
    await publish(on.a, 'lib/1.0.0', 'one', 'notes=n&shared=/shared/layer')
    await publish(on.a, 'tool/1.0.0', 'two')
    await on.a.api.upload('proj/packages', '/lib/extra.txt', Buffer.from('extra'), {}, t.signal)
    const { key, ...run } = await on.replicate(
      task({ replicaObjectType: 'PATH' }, { pathConstraints: [{ path: '/lib' }] }),
    )
    assert.equal(run.record.errorReason, null)
    assert.equal(counts(run), '2/0/0/0')
    assert.deepEqual(await packed.paths(on.b), [
      '/lib/1.0.0/lib-1.0.0.rds',
      '/lib/1.0.0/notes.txt',
      '/lib/extra.txt',
      '/shared/layer',
    ])
    assert.deepEqual((await view(on.b, 'lib'))?.versions, ['1.0.0'])
    assert.equal(counts(await on.again(key)), '0/2/0/0')
  })

  it('given metadata of a version that changed, when replicated, then it travels; without includeMetadata it does not', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, task } = packed
    await publish(on.a, 'lib/1.0.0', 'one', 'note=first')
    const { key } = await on.replicate(task())
    const metadataAt = async (where: typeof on.a) => {
      const row = await where.db.read.selectFrom('package_version').select(['metadata']).executeTakeFirstOrThrow()
      return JSON.parse(row.metadata) as { key: string; value: unknown; system?: boolean }[]
    }
    assert.deepEqual(await metadataAt(on.b), [
      { key: 'note', value: 'first' },
      { key: 'sourceType', value: 'REPLICATION', system: true },
    ])
    const versionMetadata = [{ key: 'note', value: 'second' }]
    const said = { packageKey: 'rds://lib', version: '1.0.0', versionMetadata }
    await on.a.api.call('POST', '/repository/api/metadata/package/proj/packages', said, t.signal)
    const without = await on.replicate(task({ setting: { includeMetadata: false } }))
    assert.equal(counts(without), '0/1/0/0')
    assert.equal((await metadataAt(on.b))[0]?.value, 'first')
    assert.equal(counts(await on.again(key)), '1/0/0/0')
    assert.equal((await metadataAt(on.b))[0]?.value, 'second')
  })

  it('given a deleted version, when deletions do not travel, then the target keeps it', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, view, remove, task } = packed
    for (const version of ['lib/1.0.0', 'lib/2.0.0']) await publish(on.a, version, version, 'notes=n')
    const { key } = await on.replicate(task())
    await remove(on.a, 'lib/1.0.0')
    assert.equal(counts(await on.again(key)), '0/1/0/0')
    assert.deepEqual((await view(on.b, 'lib'))?.versions, ['1.0.0', '2.0.0'])
  })

  it('given a task that brought a version, when it is deleted and deletions travel, then the target loses it with its files', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, view, remove, task } = packed
    for (const version of ['lib/1.0.0', 'lib/2.0.0', 'tool/1.0.0']) await publish(on.a, version, version, 'notes=n')
    const guard = { propagateDelete: true, deleteGuard: { maxCount: 100, maxShare: 1 } }
    const { key } = await on.replicate(task({ setting: guard }))
    await remove(on.a, 'lib/1.0.0')
    await remove(on.a, 'tool/1.0.0')
    const run = await on.again(key)
    assert.equal(run.record.errorReason, null)
    assert.deepEqual((await view(on.b, 'lib'))?.versions, ['2.0.0'])
    assert.equal(await view(on.b, 'tool'), undefined)
    assert.deepEqual(await packed.paths(on.b), await packed.paths(on.a))
    assert.equal(counts(await on.again(key)), '0/1/0/0')
  })

  it('given a version of many small files and a large one, when replicated, then it arrives whole', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '5' })
    const { on, publish, read, task } = packed
    const large = 'l'.repeat(3 * 1024 * 1024)
    await publish(on.a, 'lib/1.0.0', large, 'notes=n')
    for (let n = 0; n < 12; n++) await publish(on.a, `tool/1.${n}.0`, `content ${n}`, `notes=${n}`)
    const run = await on.replicate(task())
    assert.equal(counts(run), '13/0/0/0')
    assert.equal(await read(on.b, 'lib/1.0.0'), large)
    assert.equal(await read(on.b, 'tool/1.11.0', 'notes'), '11')
  })

  it('case 30: given a REAL_TIME task with two package constraints, when a version of the second is published, then it is replicated', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, view, read, task } = packed
    await publish(on.a, 'lib/1.0.0', 'one')
    const changes = task(
      { ...REAL_TIME, replicaObjectType: 'PACKAGE' },
      { packageConstraints: ['rds://lib', 'rds://tool'] },
    )
    const key = await liveTask(on, changes, t.signal)
    assert.deepEqual((await view(on.b, 'lib'))?.versions, ['1.0.0'])
    await publish(on.a, 'tool/1.0.0', 'tool', 'notes=n&tag=latest')
    await publish(on.a, 'other/1.0.0', 'other')
    await until(async () => (await read(on.b, 'tool/1.0.0', 'notes')) === 'n', t.signal)
    await caughtUp(on.a, key, t.signal)
    assert.deepEqual(await view(on.b, 'tool'), { latest: '1.0.0', tags: { latest: '1.0.0' }, versions: ['1.0.0'] })
    assert.equal(await view(on.b, 'other'), undefined)
    const [record] = await recordsOf(on.a, key, t.signal)
    const { success, failed, conflict } = await overviewOf(on.a, record!.id, t.signal)
    assert.deepEqual({ success, failed, conflict }, { success: 2, failed: 0, conflict: 0 })
  })
})
