import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { normalisePath } from '../core/paths.ts'
import { type Decision, decide, type RepositoryResource, type Resource } from './access.ts'
import { ACTIONS, type Action, allowedBy, type Grants, NO_GRANTS, type RepositoryGrant } from './grants.ts'
import { ANONYMOUS, type Principal } from './principal.ts'

const nobody = ANONYMOUS
const ann: Principal = { userId: 'ann', admin: false }
const root: Principal = { userId: 'root', admin: true }

const REPO_ID = 7
const IN_REPOSITORY: RepositoryResource = {
  ...{ kind: 'repository', projectId: 'demo', repoName: 'files', id: REPO_ID, public: false },
  ...{ path: normalisePath('/'), extent: 'tree' },
}
const open: Resource = { ...IN_REPOSITORY, public: true }
const closed: Resource = IN_REPOSITORY
const at = (path: string, more: Partial<RepositoryResource> = {}): RepositoryResource => ({
  ...IN_REPOSITORY,
  path: normalisePath(path),
  extent: 'node',
  ...more,
})

function permission(actions: readonly Action[], include: string[] = [], exclude: string[] = []): RepositoryGrant {
  return { actions: allowedBy(actions), include: include.map(normalisePath), exclude: exclude.map(normalisePath) }
}
const given = (...grants: RepositoryGrant[]): Grants => ({ ...NO_GRANTS, repositories: new Map([[REPO_ID, grants]]) })
const ofProject: Grants = { ...NO_GRANTS, administers: new Set(['demo']) }

const rows: readonly [string, Principal, Action, Resource, Decision][] = [
  ['nobody and a public page', nobody, 'READ', { kind: 'anything' }, 'allow'],
  ['nobody and a page for users', nobody, 'READ', { kind: 'login' }, 'login'],
  ['nobody and administration', nobody, 'MANAGE', { kind: 'system' }, 'login'],
  ['nobody and a project', nobody, 'VIEW', { kind: 'project', projectId: 'demo' }, 'login'],
  ['nobody and an account', nobody, 'MANAGE', { kind: 'account', userId: 'anonymous' }, 'login'],
  ['a user and a page for users', ann, 'READ', { kind: 'login' }, 'allow'],
  ['a user and administration', ann, 'MANAGE', { kind: 'system' }, 'deny'],
  ['a user and replication', ann, 'VIEW', { kind: 'replication' }, 'deny'],
  ['a user and the own account', ann, 'MANAGE', { kind: 'account', userId: 'ann' }, 'allow'],
  ["a user and another one's account", ann, 'MANAGE', { kind: 'account', userId: 'bob' }, 'deny'],
  ['a locked user and a public repository', { ...ann, standing: 'locked' }, 'READ', open, 'deny'],
  ['a locked administrator', { ...root, standing: 'locked' }, 'READ', open, 'deny'],
  ['a missing user and the own account', { ...ann, standing: 'missing' }, 'READ', { kind: 'login' }, 'deny'],
  ['an administrator with credentials for something else', { ...root, covers: () => false }, 'READ', open, 'deny'],
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
    { kind: 'project', projectId: 'demo' },
    { kind: 'account', userId: 'bob' },
  ]
  for (const action of ACTIONS) for (const resource of resources) assert.equal(decide(root, action, resource), 'allow')
})

/** M W R D V U X: MANAGE WRITE READ DOWNLOAD VIEW UPDATE DELETE; a letter: allowed, `-`: not, `?`: after a login. */
const letters = 'MWRDVUX'
const matrixOf = (principal: Principal, grants: Grants, resource: Resource): string =>
  ACTIONS.map((action, index) => {
    const decision = decide(principal, action, resource, grants)
    return decision === 'allow' ? letters[index] : decision === 'deny' ? '-' : '?'
  }).join('')

describe('core.md 15 item 10: six roles, seven actions, private and public, paths', () => {
  // One row per role; columns: private, public.
  const roles: readonly [string, Principal, Grants, string, string][] = [
    ['nobody', nobody, NO_GRANTS, '???????', '??RDV??'],
    ['a user without permissions', ann, NO_GRANTS, '-------', '--RDV--'],
    ['a viewer (READ)', ann, given(permission(['READ'])), '--RDV--', '--RDV--'],
    ['a user (READ, WRITE, DELETE)', ann, given(permission(['READ', 'WRITE', 'DELETE'])), '-WRDVUX', '-WRDVUX'],
    ['a repository administrator (MANAGE)', ann, given(permission(['MANAGE'])), 'MWRDVUX', 'MWRDVUX'],
    ['a project administrator', ann, ofProject, 'MWRDVUX', 'MWRDVUX'],
    ['an administrator', root, NO_GRANTS, 'MWRDVUX', 'MWRDVUX'],
  ]
  for (const [title, principal, grants, inPrivate, inPublic] of roles) {
    it(`given ${title}, when each action is decided, then private is ${inPrivate} and public ${inPublic}, at any path`, () => {
      for (const place of [closed, at('/'), at('/a/b')] as RepositoryResource[]) {
        assert.equal(matrixOf(principal, grants, place), inPrivate)
        assert.equal(matrixOf(principal, grants, { ...place, public: true }), inPublic)
      }
    })
  }

  const single: Readonly<Record<Action, string>> = {
    MANAGE: 'MWRDVUX',
    WRITE: '-W---U-',
    READ: '--RDV--',
    DOWNLOAD: '---D---',
    VIEW: '----V--',
    UPDATE: '-----U-',
    DELETE: '------X',
  }
  for (const [action, allowed] of Object.entries(single)) {
    it(`given a permission with ${action} only, when each action is decided, then ${allowed} is allowed`, () => {
      assert.equal(matrixOf(ann, given(permission([action as Action])), closed), allowed)
    })
  }

  // include, exclude, path → as the node itself, the tree below it, a part of the tree
  const paths: readonly [string[], string[], string, string][] = [
    [[], [], '/', 'node tree part'],
    [['/data'], [], '/data', 'node tree part'],
    [['/data'], [], '/data/x/y', 'node tree part'],
    [['/data/report'], [], '/data/report-secret', ''],
    [['/data/report'], [], '/data/reports/x', ''],
    [['/data/report'], [], '/data/report/x', 'node tree part'],
    [['/data'], [], '/', 'part'],
    [['/data'], [], '/other', ''],
    [['/data/x'], [], '/data', 'part'],
    [[], ['/secret'], '/secret', ''],
    [[], ['/secret'], '/secret/x', ''],
    [[], ['/secret'], '/secrets', 'node tree part'],
    [[], ['/secret'], '/', 'node part'],
    [[], ['/a/secret'], '/a', 'node part'],
    [['/data'], ['/data/report'], '/data', 'node part'],
    [['/data'], ['/data/report'], '/data/report/x', ''],
    [['/data'], ['/data/report'], '/data/report-2', 'node tree part'],
    [['/data'], ['/data'], '/data', ''],
    [['/data'], ['/data'], '/', ''],
    [['/data', '/more'], [], '/more', 'node tree part'],
    [['/'], [], '/x', 'node tree part'],
    [[], ['/'], '/x', ''],
  ]
  for (const [include, exclude, path, extents] of paths) {
    it(`given include [${include}] and exclude [${exclude}], when ${path} is asked for, then it is allowed as: ${extents || 'nothing'}`, () => {
      const scoped = permission(['READ'], include, exclude)
      for (const extent of ['node', 'tree', 'part'] as const) {
        const allowed = extents.split(' ').includes(extent)
        const there = at(path, { extent })
        assert.equal(matrixOf(ann, given(scoped), there), allowed ? '--RDV--' : '-------', extent)
        assert.equal(
          matrixOf(ann, given(scoped), { ...there, public: true }),
          '--RDV--',
          'patterns do not narrow what is public',
        )
        assert.equal(matrixOf(ann, ofProject, there), 'MWRDVUX')
      }
    })
  }

  it('given two permissions, when a path is excluded by one and given by the other, then it is allowed, each with its own actions', () => {
    const grants = given(permission(['READ'], [], ['/secret']), permission(['WRITE'], ['/secret']))
    assert.equal(matrixOf(ann, grants, at('/secret/x')), '-W---U-')
    assert.equal(matrixOf(ann, grants, at('/open')), '--RDV--')
  })

  it('given permissions and an administrated project, when another repository or project is asked for, then they do not count', () => {
    assert.equal(matrixOf(ann, given(permission(['MANAGE'])), { ...IN_REPOSITORY, id: 8 }), '-------')
    assert.equal(matrixOf(ann, given(permission(['MANAGE'])), { ...IN_REPOSITORY, id: undefined }), '-------')
    assert.equal(matrixOf(ann, ofProject, { ...IN_REPOSITORY, projectId: 'other' }), '-------')
    assert.equal(matrixOf(nobody, ofProject, closed), '???????')
  })

  it('given PROJECT, SYSTEM and REPLICATION permissions, when each kind is decided, then each counts for its own kind only', () => {
    const grants: Grants = {
      ...NO_GRANTS,
      system: allowedBy(['VIEW']),
      replication: allowedBy(['WRITE']),
      projects: new Map([['demo', allowedBy(['READ'])]]),
    }
    assert.equal(matrixOf(ann, grants, { kind: 'system' }), '----V--')
    assert.equal(matrixOf(ann, grants, { kind: 'replication' }), '-W---U-')
    assert.equal(matrixOf(ann, grants, { kind: 'project', projectId: 'demo' }), '--RDV--')
    assert.equal(matrixOf(ann, grants, { kind: 'project', projectId: 'other' }), '-------')
    assert.equal(matrixOf(ann, grants, closed), '-------')
    assert.equal(matrixOf(ann, ofProject, { kind: 'project', projectId: 'demo' }), 'MWRDVUX')
  })
})
