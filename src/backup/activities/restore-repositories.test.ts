import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { restoresOf } from '../../../test/helpers/restore-activity.ts'
import { filledSite, found, restoreSite, type Site } from '../../../test/helpers/restore-site.ts'
import { hasCode } from '../../core/errors.ts'

eachDatabase('restored repositories', (make) => {
  it('given a filter, another project as target and a name that the backup lacks, when restored, then only that is there, and a warning', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    await using target = await restoreSite(make)
    const entry = { projectRegex: null, repoRegex: null, excludeProjects: null, excludeRepos: null, repoList: null }
    const projects = [
      { ...entry, projectId: 'demo', repoList: ['files'] },
      { ...entry, projectId: 'nowhere' },
    ]
    const { result, errorReason } = await target.restore(backup, {
      content: { projects },
      setting: { targetProjectId: 'copy' },
    })
    assert.equal(result, 'SUCCESS')
    assert.match(errorReason!, /project \[nowhere\] is not in the backup/)
    const names = await target.db.read.selectFrom('repository').select(['project', 'name']).execute()
    assert.deepEqual(
      names.map(({ project, name }) => `${project}/${name}`),
      ['copy/files'],
    )
    assert.equal(await target.projects.find('demo'), undefined)
  })

  it('given a quota that the backup is above, when restored, then all of it comes and the quota is told of', async () => {
    const { site, repository } = await filledSite(make)
    await using source = site
    await source.quotas.set(repository, 10, 'admin')
    const backup = await source.backUp()
    await using target = await restoreSite(make)
    const { result, errorReason } = await target.restore(backup)
    assert.equal(result, 'SUCCESS')
    assert.match(errorReason!, /\[demo\/files\] is above its quota: 100008 of 10 bytes/)
  })

  it('given proxies with passwords and a view of them, when restored, then they are configured as before; without the key, passwords are told of', async () => {
    await using source = await restoreSite(make)
    await makeRepository(source)
    const made = { project: 'demo', type: 'GENERIC' }
    const login = { username: 'anna', password: 'secret' }
    const remote = { url: 'http://127.0.0.1:9/up', credentials: login }
    await source.repositories.create({ ...made, name: 'remote', category: 'REMOTE', configuration: remote }, 'admin')
    const proxy = { channelList: [{ name: 'one', url: 'http://127.0.0.1:9/c', ...login }] }
    await source.repositories.create(
      { ...made, name: 'mixed', category: 'COMPOSITE', configuration: { proxy } },
      'admin',
    )
    // By name before its members.
    const members = { repositoryList: [{ name: 'remote' }, { name: 'files' }] }
    await source.repositories.create({ ...made, name: 'all', category: 'VIRTUAL', configuration: members }, 'admin')
    const backup = await source.backUp()
    const secretsOf = async (site: Site) =>
      (await site.db.read.selectFrom('proxy_secret').select(['slot', 'secret']).orderBy('slot').execute()).map(
        ({ slot, secret }) => [slot, secret],
      )
    await using target = await restoreSite(make)
    const { result, errorReason } = await target.restore(backup)
    assert.deepEqual([result, errorReason], ['SUCCESS', null])
    for (const name of ['remote', 'mixed', 'all']) {
      assert.deepEqual((await found(target, name)).configuration, (await found(source, name)).configuration)
    }
    const ids = await Promise.all(['mixed', 'remote'].map(async (name) => (await found(source, name)).id))
    const stored = (await secretsOf(source)).map(([, secret]) => secret)
    assert.deepEqual(await secretsOf(target), [
      ['channel/one', `repository/${ids[0]}/channel/one: ${stored[0]}`],
      ['credentials', `repository/${ids[1]}/credentials: ${stored[1]}`],
    ])

    await using other = await restoreSite(make)
    const locked = restoresOf({ ...other, builtTypes: ['GENERIC'], secrets: { unpack: () => undefined } })
    const outcome = await locked.restore(backup)
    assert.equal(outcome.result, 'SUCCESS')
    assert.match(outcome.errorReason!, /password of channel\/one.*password of credentials/)
    const { configuration } = await found(other, 'remote')
    assert.deepEqual(configuration.credentials, { username: 'anna', password: null })
    assert.deepEqual(await secretsOf(other), [])
  })

  it('given common data and repositories, when restored, then its phases come before and after them', async () => {
    await using source = await restoreSite(make)
    await makeRepository(source)
    const backup = await source.backUp()
    const files = new Map([...backup.files, ['user.json', '{"userId":"anna"}\n{"torn":\n']])
    await using target = await restoreSite(make)
    const order: unknown[] = []
    const phase = (name: string) => async (records: AsyncIterable<unknown>) => {
      const there = await target.repositories.find('demo', 'files')
      order.push([name, there !== undefined, await Array.fromAsync(records)])
    }
    const users = {
      path: 'user.json',
      async *read() {},
      restoring: () => ({ beforeRepositories: phase('before'), afterRepositories: phase('after') }),
    }
    const restores = restoresOf({ ...target, builtTypes: ['GENERIC'], commonFiles: [users] })
    await restores.restore({ ...backup, files }, { content: { commonData: true } })
    // What is no JSON the file refuses itself, once.
    assert.deepEqual(order, [
      ['before', false, [{ userId: 'anna' }, null]],
      ['after', true, [{ userId: 'anna' }, null]],
    ])
  })

  it('given a repository of that name that was deleted, when restored, then it is a new one', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const backup = await source.backUp()
    await source.repositories.delete('demo', 'files', 'with-content', 'admin')
    const { result } = await source.restore(backup)
    assert.equal(result, 'SUCCESS')
    const repository = await found(source)
    const paths = await source.db.read
      .selectFrom('node')
      .select('path')
      .where('repo_id', '=', repository.id)
      .where('deleted_at', 'is', null)
      .orderBy('path')
      .execute()
    assert.deepEqual(
      paths.map((row) => row.path),
      ['/a', '/a/b', '/a/b/two.txt', '/a/one.txt', '/empty', '/large.bin'],
    )
  })

  it('given a backup without a manifest that holds names that none may have, when restored, then each is an error entry and the others come', async () => {
    const { site } = await filledSite(make)
    await using source = site
    const { files, contents } = await source.backUp()
    const odd = ['hz/q/project.json', 'hz/q/node.json', '..x/files/node.json'].map((name): [string, string] => [
      name,
      '',
    ])
    await using target = await restoreSite(make)
    const backup = { files: new Map([...files, ...odd]), contents }
    const { result, report, run } = await target.restore(backup, { setting: { legacy: true } })
    const errors = report!.errors as { path: string; reason: string }[]
    assert.equal(result, 'PARTIAL')
    assert.deepEqual(errors.map((error) => error.path).sort(), ['..x/files', 'hz/q'])
    assert.match(errors[0]!.reason, /left out: no project or repository/)
    assert.deepEqual([run.progress.now.failed, run.progress.now.repos], [2, 2])
  })

  it('given a folder without a manifest and without records, when restored, then the run fails and says so', async () => {
    await using target = await restoreSite(make)
    const backup = { files: new Map([['other.json', '']]), contents: new Map() }
    await assert.rejects(
      target.restore(backup, { setting: { legacy: true } }),
      (error) => hasCode(error, 'ARTIFACT_BROKEN') && /\[\/place\] is no backup/.test(error.message),
    )
  })
})
