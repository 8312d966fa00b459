import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { connectApi } from '../helpers/api.ts'
import { ALL_FILES, completeBackup } from '../helpers/backup-calls.ts'
import { eachDialect, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { createRepository, createTask, registerCluster, taskOf, waitForRun } from '../helpers/replication-calls.ts'
import { tempDir } from '../helpers/temp.ts'

const REPO = 'demo/files'
const PASSWORD = 'a long password of ann'

const serverOf = (name: string, dialect: TestDialect, root: string, onLog?: (line: string) => void) =>
  startCluster({
    ...{ name, dialect },
    env: {
      ...{ ENTREPOT_BACKUP_ALLOWED_ROOTS: root, ENTREPOT_BACKUP_USAGE_THRESHOLD: '1' },
      ENTREPOT_BACKUP_PASSPHRASE: 'correct horse battery',
    },
    ...(onLog && { onLog }),
  })

eachDialect('common data of a backup', (dialect) => {
  it('case 34: given users, rights and tasks, when another server is restored, then they work there, and no file or log line holds a secret', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    await using source = await serverOf('source', dialect, dir.path)
    await using peer = await startCluster({ name: 'peer', dialect })
    const lines: string[] = []
    await using target = await serverOf('target', dialect, dir.path, (line) => lines.push(line))
    const { api } = source
    await createRepository(api, REPO, signal)
    await createRepository(peer.api, REPO, signal)
    await api.upload(REPO, '/private.txt', Buffer.from('for ann'), {}, signal)
    for (const userId of ['ann', 'ben'])
      await api.call('POST', '/auth/api/user/create', { userId, name: userId, pwd: PASSWORD }, signal)
    const right = { resourceType: 'REPO', projectId: 'demo', permName: 'read', repos: ['files'], users: ['ann'] }
    await api.call('POST', '/auth/api/permission/create', { ...right, actions: ['READ'] }, signal)
    const token = await api.call<{ id: string }>('POST', '/auth/api/user/token/ann/ci', undefined, signal)
    const clusterId = await registerCluster(
      api,
      { name: 'peer', url: peer.url, user: 'admin', password: peer.password },
      signal,
    )
    await createTask(
      api,
      { ...taskOf('to peer', REPO, [clusterId]), enabled: false } as ReturnType<typeof taskOf>,
      signal,
    )

    const all = { ...ALL_FILES, commonData: true }
    const made = await completeBackup(api, { name: 'all', storeLocation: '.', content: all }, signal)
    const folder = made.artifactLocation!
    for (const name of await readdir(folder)) {
      if (!name.endsWith('.json')) continue
      const text = await readFile(join(folder, name), 'utf8')
      for (const secret of [PASSWORD, token.id, peer.password]) assert.equal(text.includes(secret), false, name)
      assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name)
    }

    const back = { name: 'back', type: 'DATA_RESTORE', storeLocation: folder, content: all }
    await completeBackup(target.api, back, signal)
    await completeBackup(target.api, back, signal)
    for (const password of [PASSWORD, token.id]) {
      using ann = connectApi({ url: target.url, user: 'ann', password })
      const content = await ann.download(REPO, '/private.txt', signal)
      assert.equal((await content.toArray()).join(''), 'for ann')
    }
    using ben = connectApi({ url: target.url, user: 'ben', password: PASSWORD })
    await assert.rejects(ben.download(REPO, '/private.txt', signal), { status: 403 })

    const tasks = await target.api.call<{ records: { key: string; enabled: boolean }[] }>(
      'GET',
      '/replication/api/task/page/demo?pageNumber=1&pageSize=10',
      undefined,
      signal,
    )
    const [task, ...more] = tasks.records
    assert.deepEqual([task?.enabled, more], [false, []])
    await target.api.call('POST', `/replication/api/task/toggle/status/${task!.key}`, undefined, signal)
    const record = await waitForRun(target.api, task!.key, { runs: 1, pollMs: 10 }, signal)
    assert.equal(record.status, 'SUCCESS', JSON.stringify(record))
    const there = await peer.api.download(REPO, '/private.txt', signal)
    assert.equal((await there.toArray()).join(''), 'for ann')
    const log = lines.join('\n')
    for (const secret of [PASSWORD, token.id, peer.password, 'correct horse']) assert.equal(log.includes(secret), false)
  })
})
