import assert from 'node:assert/strict'
import { mkdir, symlink } from 'node:fs/promises'
import { it } from 'node:test'
import { ALL_FILES, BACKUPS, completeBackup, endOfBackup, startBackup } from '../helpers/backup-calls.ts'
import { basic } from '../helpers/identity.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { tempDir } from '../helpers/temp.ts'

const PATH = `${BACKUPS}/keys`
const ALIAS = '/api/job/backup/keys'
const PLACE = 'place'
const [OLD, NEXT, THIRD] = ['correct horse battery', 'staple of 2027, longer', 'a third one of ours']
const toRepository = {
  ...{ name: 'nightly', storeLocation: PLACE, content: ALL_FILES },
  backupSetting: { layout: 'REPOSITORY' },
}

interface Key {
  readonly id: string
  readonly createdDate: string | null
  readonly label: string | null
}
interface Answer {
  readonly status: number
  readonly code: number
  readonly message: string | null
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly data: any
}
interface Site extends AsyncDisposable {
  readonly cluster: LocalCluster
  call(method: string, path: string, body?: unknown, authorization?: string): Promise<Answer>
  keys(): Promise<Key[]>
}

eachDialect('keys of backup repositories', (dialect: TestDialect) => {
  /** @param heard what the server logs, and what it answers, is added to it. */
  async function site(root: string, passphrase: string | undefined, heard: string[] = []): Promise<Site> {
    const env = {
      ENTREPOT_BACKUP_ALLOWED_ROOTS: root,
      ENTREPOT_BACKUP_USAGE_THRESHOLD: '1',
      ...(passphrase !== undefined && { ENTREPOT_BACKUP_PASSPHRASE: passphrase }),
    }
    await mkdir(root, { recursive: true })
    const cluster = await startCluster({ name: 'center', dialect, env, onLog: (line) => void heard.push(line) })
    const call: Site['call'] = async (method, path, body, authorization = cluster.api.authorization) => {
      const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
      const headers = { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) }
      const answer = await fetch(`${cluster.url}${path}`, { method, headers, ...sent })
      const text = await answer.text()
      heard.push(text)
      return { status: answer.status, ...JSON.parse(text) }
    }
    return {
      cluster,
      call,
      keys: async () => (await call('GET', `${PATH}?location=${PLACE}`)).data,
      [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
    }
  }

  it('given a second passphrase, when the first is removed, then a server with the second reads and writes, one with the first is refused, and nobody hears either', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    const heard: string[] = []
    await using first = await site(dir.file('root'), OLD, heard)
    await createRepository(first.cluster.api, 'demo/files', signal)
    await first.cluster.api.upload('demo/files', '/a.txt', Buffer.from('hello'), {}, signal)
    const { artifactLocation } = await completeBackup(first.cluster.api, toRepository, signal)
    const [own] = await first.keys()
    assert.deepEqual([(await first.keys()).length, own!.label], [1, null])
    const added = await first.call('POST', ALIAS, { location: PLACE, passphrase: NEXT, label: ' of 2027 ' })
    assert.deepEqual([added.status, added.code], [200, 0], added.message ?? '')

    await using second = await site(dir.file('root'), NEXT, heard)
    const restore = { name: 'back', type: 'DATA_RESTORE', storeLocation: artifactLocation, content: ALL_FILES }
    await completeBackup(second.cluster.api, restore, signal)
    await second.cluster.api.call('GET', '/repository/api/node/detail/demo/files/a.txt', undefined, signal)
    await completeBackup(second.cluster.api, { ...toRepository, name: 'other' }, signal)
    const listed = (await second.call('GET', `${ALIAS}?location=${encodeURIComponent(`${PLACE}/repo`)}`)).data as Key[]
    assert.deepEqual(
      listed.map(({ id, label }) => [id, label]),
      [
        [own!.id, null],
        [added.data, 'of 2027'],
      ],
    )
    assert.match(listed[1]!.createdDate!, /^\d{4}-\d\d-\d\dT/)
    const remove = (at: Site, id: string) => at.call('DELETE', `${PATH}/${id}?location=${PLACE}`)
    const ownRefused = await remove(second, added.data)
    assert.deepEqual([ownRefused.status, ownRefused.code], [400, 250113])
    assert.match(ownRefused.message!, /opens with the configured passphrase.*set backup\.passphrase/)
    assert.equal((await remove(second, own!.id)).code, 0)
    const lastRefused = await remove(second, added.data)
    assert.deepEqual([lastRefused.status, lastRefused.code], [400, 250113])
    assert.match(lastRefused.message!, /the only one/)
    await completeBackup(second.cluster.api, { ...toRepository, name: 'again' }, signal)

    // What it unlocked before does not count any more.
    const ended = await endOfBackup(
      first.cluster.api,
      await startBackup(first.cluster.api, toRepository, signal),
      signal,
    )
    assert.equal(ended.result, 'FAILED')
    assert.match(ended.errorReason!, /do not open with the configured passphrase; set backup\.passphrase/)
    const back = await first.call('POST', PATH, { location: PLACE, passphrase: THIRD })
    assert.deepEqual([back.status, back.code], [403, 250113])
    assert.match(back.message!, /do not open with the configured passphrase/)
    assert.deepEqual(
      (await first.keys()).map(({ label }) => label),
      ['of 2027'],
    )

    const audited = await second.call('GET', '/auth/api/audit/page?pageSize=100')
    const rows = (audited.data.records as { action: string; resource: string; outcome: string }[])
      .filter(({ action }) => action.includes('/keys'))
      .map(({ action, resource, outcome }) => [action, resource, outcome])
    assert.deepEqual(rows.reverse(), [
      [`DELETE ${PATH}/:id`, `id=${added.data} location=${PLACE}`, 'FAILED'],
      [`DELETE ${PATH}/:id`, `id=${own!.id} location=${PLACE}`, 'SUCCESS'],
      [`DELETE ${PATH}/:id`, `id=${added.data} location=${PLACE}`, 'FAILED'],
    ])
    await first.call('GET', '/auth/api/audit/page?pageSize=100')
    assert.ok(heard.some((line) => line.includes(`POST ${PATH}`)))
    for (const secret of [OLD, NEXT, THIRD]) assert.ok(!heard.some((line) => line.includes(secret)))
  })

  it('given an encrypted repository, when a key is asked for that cannot be, then the refusal has words and no key changes', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    const heard: string[] = []
    await using at = await site(dir.file('root'), OLD, heard)
    await completeBackup(at.cluster.api, toRepository, signal)
    const [own] = await at.keys()
    await mkdir(dir.file('root', 'empty'))
    await mkdir(dir.file('outside'))
    await mkdir(dir.file('root', 'linked'))
    await symlink(dir.file('root', PLACE, 'repo'), dir.file('root', 'linked', 'repo'))
    const ann = { userId: 'ann', name: 'Ann', pwd: 'a very secret password' }
    await at.call('POST', '/auth/api/user/create', ann)

    const key = { location: PLACE, passphrase: NEXT }
    const posts = [
      [{ ...key, passphrase: 'only eleven' }, 400, 250105, /passphrase.*12 characters or more/],
      [{ ...key, passphrase: OLD }, 400, 250107, new RegExp(`${own!.id}.*opens with this passphrase already`)],
      [{ ...key, location: 'empty' }, 400, 250105, /location.*no backup repository/],
      [{ ...key, location: 'linked' }, 400, 250311, /link/],
      [{ ...key, location: 'nowhere' }, 400, 250105, /location.*nothing is there/],
      [{ ...key, location: dir.file('outside') }, 400, 250105, /location.*backup\.allowedRoots/],
      [{ ...key, location: '../outside' }, 400, 250105, /location/],
      [{ passphrase: NEXT }, 400, 250103, /location/],
      [{ location: PLACE }, 400, 250103, /passphrase/],
      [`{"location":"${PLACE}","passphrase":"${NEXT}`, 400, 250106, /not JSON/],
      [`{"location":"${PLACE}","passphrase":${NEXT}}`, 400, 250106, /not JSON/],
    ] as const
    for (const [body, status, code, words] of posts) {
      const refused = await at.call('POST', PATH, body)
      assert.deepEqual([refused.status, refused.code], [status, code], JSON.stringify(body))
      assert.match(refused.message!, words)
    }
    for (const [path, status, words] of [
      [`${PATH}/${own!.id}?location=${PLACE}`, 400, /the only one/],
      [`${PATH}/${'0'.repeat(32)}?location=${PLACE}`, 404, /has no key 0+: list its keys/],
      [`${PATH}/..%2Fconfig?location=${PLACE}`, 404, /has no key/],
      [`${PATH}/${own!.id}`, 400, /location/],
    ] as const) {
      const refused = await at.call('DELETE', path)
      assert.equal(refused.status, status, path)
      assert.match(refused.message!, words)
    }
    for (const [method, path, body] of [
      ['GET', `${PATH}?location=${PLACE}`, undefined],
      ['POST', PATH, key],
      ['DELETE', `${PATH}/${own!.id}?location=${PLACE}`, undefined],
    ] as const) {
      assert.equal((await at.call(method, path, body, basic('ann', ann.pwd))).status, 403, method)
    }
    assert.deepEqual(await at.keys(), [own])
    for (const secret of [OLD, NEXT]) assert.ok(!heard.some((line) => line.includes(secret)))
  })

  it('given a repository without encryption, when its keys are asked for, then the answer says that it has none', async ({
    signal,
  }) => {
    await using dir = await tempDir()
    await using at = await site(dir.file('root'), undefined)
    await completeBackup(at.cluster.api, toRepository, signal)
    for (const [method, path, body] of [
      ['GET', `${PATH}?location=${PLACE}`, undefined],
      ['POST', PATH, { location: PLACE, passphrase: NEXT }],
      ['DELETE', `${PATH}/${'0'.repeat(32)}?location=${PLACE}`, undefined],
    ] as const) {
      const refused = await at.call(method, path, body)
      assert.deepEqual([refused.status, refused.code], [412, 250133], method)
      assert.match(refused.message!, /is not encrypted: it has no keys/)
    }
  })
})
