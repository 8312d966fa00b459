import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { it } from 'node:test'
import { completeBackup, endOfBackup, startBackup } from '../helpers/backup-calls.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { startRegistry } from '../helpers/registry.ts'
import { tempDir } from '../helpers/temp.ts'

const EVERYTHING = { commonData: true, projects: [{ projectRegex: '*' }] }

eachDialect('drills', (dialect) => {
  it('given files and an image, when a drill is done, then all is compared, the image is read as its clients do, and nothing is left behind; with other bytes in the backup it is FAILED and says where', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    const root = dir.file('backups')
    await using on = await startRegistry(dialect, {
      ENTREPOT_BACKUP_ALLOWED_ROOTS: root,
      ENTREPOT_BACKUP_USAGE_THRESHOLD: '1',
    })
    const { api } = on.server
    const project = { name: 'team', displayName: 'team', description: '' }
    await api.call('POST', '/repository/api/project/create', project, signal)
    const repository = { projectId: 'team', name: 'files', type: 'GENERIC', category: 'LOCAL', public: false }
    await api.call('POST', '/repository/api/repo/create', repository, signal)
    for (const name of ['a', 'b', 'ü 1']) await api.upload('team/files', `/d/${name}`, Buffer.from(name), {}, signal)
    await on.pushImage('demo/images/app', '1')

    const made = await completeBackup(api, { name: 'mine', storeLocation: root, content: EVERYTHING }, signal)
    const drill = { name: 'drill', type: 'DATA_DRILL', storeLocation: root, content: EVERYTHING }
    const { report } = await completeBackup(api, drill, signal)
    assert.deepEqual([report?.backup, report?.samples, report?.wrong], [made.artifactLocation, 1, 0])
    assert.equal(report?.files, 6)
    assert.deepEqual(await readdir(join(dirname(on.server.blobsDir), 'drills')), [])

    await api.upload('team/files', '/d/b', Buffer.from('b again'), { 'x-bkrepo-overwrite': 'true' }, signal)
    await api.call('DELETE', '/repository/api/node/delete/team/files/d/a', undefined, signal)
    const since = { ...EVERYTHING, increment: true }
    const next = await completeBackup(api, { name: 'mine', storeLocation: root, content: since }, signal)
    const chained = await completeBackup(api, { ...drill, storeLocation: join(root, 'mine') }, signal)
    assert.deepEqual([chained.report?.backup, chained.report?.runs], [next.artifactLocation, 2])

    const nodes = join(made.artifactLocation!, 'team', 'files', 'node.json')
    await writeFile(nodes, (await readFile(nodes, 'utf8')).replace('ü 1', 'ü 2'))
    const failed = await endOfBackup(api, await startBackup(api, drill, signal), signal)
    assert.equal(failed.result, 'FAILED')
    assert.match(failed.errorReason ?? '', /node\.json/)
  })
})
