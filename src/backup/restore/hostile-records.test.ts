import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { makePackageRepository } from '../../../test/helpers/packages.ts'
import { restoresOf } from '../../../test/helpers/restore-activity.ts'
import { restoreSite } from '../../../test/helpers/restore-site.ts'

const DEEP = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`

eachDatabase('records that nobody made in earnest', (make) => {
  async function backedUp() {
    await using source = await restoreSite(make)
    await source.upload(await makeRepository(source), '/a.txt', 'a')
    await source.publish(await makePackageRepository(source), 'tool', '1.0', { '/tool/1.0/tool.tgz': 'first' })
    return await source.backUp()
  }

  const fields = [
    ['files/repository.json', 'configuration'],
    ['files/node.json', 'metadata'],
    ['rds/package.json', 'extension'],
    ['rds/package-version.json', 'extension'],
    ['rds/package-version.json', 'metadata'],
  ] as const
  for (const [file, field] of fields) {
    it(`case 28: given endless nesting in ${field} of ${file}, when restored, then that record is refused and the others come`, async () => {
      const backup = await backedUp()
      const path = `demo/${file}`
      const [first = '', ...others] = backup.files.get(path)!.split('\n')
      const { [field]: _, ...record } = JSON.parse(first) as Record<string, unknown>
      const deep = `${JSON.stringify(record).slice(0, -1)},"${field}":${DEEP}}`
      await using target = await restoreSite(make)
      const files = new Map([...backup.files, [path, [deep, ...others].join('\n')]])
      const { result, report } = await target.restore({ ...backup, files })
      assert.equal(result, 'PARTIAL')
      const [error] = report!.errors as { path: string; reason: string }[]
      assert.equal(error!.path, `${path}: line 1`)
      assert.match(error!.reason, new RegExp(`\\[${field}\\] is nested more than 100 levels deep`))
      const others_ = await target.live()
      assert.ok(others_.includes(file.startsWith('rds') ? 'files/a.txt' : 'rds/tool/1.0/tool.tgz'))
    })
  }

  it('case 28: given records of another project or repository, when restored, then each is refused', async () => {
    const backup = await backedUp()
    for (const [kind, found] of [
      ['node', []],
      ['package', ['1.0']],
      ['package-version', []],
    ] as const) {
      const path = `demo/rds/${kind}.json`
      for (const [field, value] of [
        ['repoName', 'secret'],
        ['projectId', 'other'],
      ]) {
        const lines = backup.files.get(path)!.trimEnd().split('\n')
        const foreign = lines.map((line) => JSON.stringify({ ...JSON.parse(line), [field!]: value }))
        await using target = await restoreSite(make)
        const files = new Map([...backup.files, [path, `${foreign.join('\n')}\n`]])
        const { result, report } = await target.restore({ ...backup, files })
        assert.equal(result, 'PARTIAL')
        const [error] = report!.errors as { path: string; reason: string }[]
        assert.deepEqual([error!.path, error!.reason.includes(value!)], [`${path}: line 1`, true])
        const versions = await target.db.read.selectFrom('package_version').select('name').execute()
        assert.deepEqual(
          versions.map(({ name }) => name),
          found,
        )
      }
    }
  })

  it('case 28: given endless nesting in common data, when restored, then its file gets no record, which it refuses', async () => {
    const backup = await backedUp()
    await using target = await restoreSite(make)
    const records: unknown[] = []
    const beforeRepositories = async (found: AsyncIterable<unknown>) => {
      for await (const record of found) records.push(record)
    }
    const users = { path: 'user.json', async *read() {}, restoring: () => ({ beforeRepositories }) }
    const restores = restoresOf({ ...target, builtTypes: ['GENERIC', 'RDS'], commonFiles: [users] })
    const files = new Map([...backup.files, ['user.json', `${DEEP}\n{"userId":"anna"}\n`]])
    await restores.restore({ ...backup, files }, { content: { commonData: true } })
    assert.deepEqual(records, [null, { userId: 'anna' }])
  })

  it('case 28: given an author of megabytes, when restored, then the record is refused', async () => {
    const backup = await backedUp()
    const path = 'demo/files/node.json'
    for (const field of ['createdBy', 'lastModifiedBy']) {
      const record = { ...JSON.parse(backup.files.get(path)!), [field]: 'x'.repeat(5_000_000) }
      await using target = await restoreSite(make)
      const { result, report } = await target.restore({
        ...backup,
        files: new Map([...backup.files, [path, JSON.stringify(record)]]),
      })
      assert.equal(result, 'PARTIAL')
      const [error] = report!.errors as { path: string; reason: string }[]
      assert.match(error!.reason, new RegExp(`\\[${field}\\] is longer than 256 characters`))
    }
  })
})
