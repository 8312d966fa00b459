import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ACTIONS, type Action, type Decision, decide, type Resource } from './access.ts'
import { ANONYMOUS } from './principal.ts'

const nobody = ANONYMOUS
const ann = { userId: 'ann', admin: false }
const root = { userId: 'root', admin: true }
const open: Resource = { kind: 'repository', public: true }
const closed: Resource = { kind: 'repository', public: false }

const rows: readonly [string, typeof ann, Action, Resource, Decision][] = [
  ['nobody and a public page', nobody, 'READ', { kind: 'anything' }, 'allow'],
  ['nobody and a page for users', nobody, 'READ', { kind: 'login' }, 'login'],
  ['nobody and administration', nobody, 'MANAGE', { kind: 'system' }, 'login'],
  ['nobody reading a public repository', nobody, 'READ', open, 'allow'],
  ['nobody downloading from a public repository', nobody, 'DOWNLOAD', open, 'allow'],
  ['nobody writing to a public repository', nobody, 'WRITE', open, 'login'],
  ['nobody reading a private repository', nobody, 'READ', closed, 'login'],
  ['a user and a page for users', ann, 'READ', { kind: 'login' }, 'allow'],
  ['a user and administration', ann, 'MANAGE', { kind: 'system' }, 'deny'],
  ['a user and replication', ann, 'VIEW', { kind: 'replication' }, 'deny'],
  ['a user reading a public repository', ann, 'READ', open, 'allow'],
  ['a user writing to a public repository', ann, 'WRITE', open, 'deny'],
  ['a user deleting in a public repository', ann, 'DELETE', open, 'deny'],
  ['a user reading a private repository', ann, 'READ', closed, 'deny'],
  ['a user and the own account', ann, 'MANAGE', { kind: 'account', userId: 'ann' }, 'allow'],
  ["a user and another one's account", ann, 'MANAGE', { kind: 'account', userId: 'bob' }, 'deny'],
  ['nobody and an account', nobody, 'MANAGE', { kind: 'account', userId: 'anonymous' }, 'login'],
]
for (const [title, principal, action, resource, expected] of rows) {
  it(`given ${title}, when it is decided, then the answer is ${expected}`, () => {
    assert.equal(decide(principal, action, resource), expected)
  })
}

it('given an administrator, when anything is decided, then the answer is allow', () => {
  const resources: Resource[] = [
    open,
    closed,
    { kind: 'system' },
    { kind: 'replication' },
    { kind: 'account', userId: 'bob' },
  ]
  for (const action of ACTIONS) for (const resource of resources) assert.equal(decide(root, action, resource), 'allow')
})
