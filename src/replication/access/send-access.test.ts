import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import type { AccessRequest } from '../../remotes/cluster/access-messages.ts'
import type { HelloAnswer } from '../../remotes/cluster/messages.ts'
import { LinkStopped } from '../runs/stop-reasons.ts'
import { type AccessLink, createAccessSender } from './send-access.ts'

const object = {
  ...{ localProject: 'p', localRepo: 'r', remoteProject: 'q', remoteRepo: 's', repoType: 'GENERIC', paths: undefined },
}
const link = (includesPermissions: AccessLink['spec']['includesPermissions']): AccessLink => ({
  spec: { taskKey: 't', includesPermissions, objects: [object] },
  object,
  repository: { id: 1, project: 'p', name: 'r' },
})
const NONE = { created: 0, updated: 0, deleted: 0, unchanged: 0, kept: 0 }

function fakeClient(permissions: boolean) {
  const sent: AccessRequest[] = []
  return {
    sent,
    greeting: async () => ({ features: { permissions } }) as unknown as HelloAnswer,
    async putAccess(request: AccessRequest) {
      sent.push(request)
      return { users: NONE, roles: NONE, permissions: NONE }
    },
  }
}

eachDatabase('sending users, roles and permissions', (make) => {
  it('given a target that cannot take them, when sent, then the link stops and says what to do; others are not asked', async (t) => {
    await using db = await make()
    const sender = createAccessSender({ db, clusterId: 'c', onSent() {} })
    const old = fakeClient(false)
    await assert.rejects(
      sender.send(link('repositories'), old, t.signal),
      (error) => error instanceof LinkStopped && /upgrade it, or leave includePermission out/.test(error.message),
    )
    await sender.send(link(undefined), old, t.signal)
    assert.deepEqual(old.sent, [])
  })

  it('given more users than one message takes, when sent, then they come in slices, and what names them last', async (t) => {
    await using db = await make()
    const stamps = { created_by: 'x', created_at: 1, modified_by: 'x', modified_at: 1 }
    const rows = Array.from({ length: 1_201 }, (_, n) => ({
      ...{ user_id: `u${n}`, name: `u${n}`, password_hash: 'h', admin: 0, locked: 0, email: null, phone: null },
      ...{ credential_stamp: 1, ...stamps },
    }))
    await db.transact(async (trx) => {
      for (let at = 0; at < rows.length; at += 500) {
        await trx
          .insertInto('user_account')
          .values(rows.slice(at, at + 500))
          .execute()
      }
    })
    const client = fakeClient(true)
    await createAccessSender({ db, clusterId: 'c', onSent() {} }).send(link('server'), client, t.signal)
    assert.deepEqual(
      client.sent.map(({ copiedUsers, copiedProjects }) => [copiedUsers.length, copiedProjects.length]),
      [
        [500, 0],
        [500, 0],
        [201, 2],
      ],
    )
  })
})
