import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type NodePath, normalisePath } from '../core/paths.ts'
import { decide, type Resource, WHOLE } from './access.ts'
import type { Action } from './grants.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { COVERS_SERVICE, coversOfApp, coversOfToken, isOutsideApp } from './principal-scope.ts'

const repository = (projectId: string, repoName: string, path: NodePath = WHOLE.path): Resource => ({
  ...{ kind: 'repository', projectId, repoName, id: 1, public: false, path, extent: 'node' },
})
const project = (projectId: string): Resource => ({ kind: 'project', projectId })
const SYSTEM: Resource = { kind: 'system' }
const ACCOUNT: Resource = { kind: 'account', userId: 'root' }
const REPLICATION: Resource = { kind: 'replication' }
const LOGIN: Resource = { kind: 'login' }

/** What an administrator is allowed through these credentials. */
const allowed = (covers: Principal['covers'], action: Action, resource: Resource) =>
  decide({ userId: 'root', admin: true, covers }, action, resource) === 'allow'

describe('scope of a platform account', () => {
  it('given no limits, when asked, then there is nothing to ask', () => {
    assert.equal(coversOfApp({ types: [], projects: [] }), undefined)
  })

  const rules = [
    { operation: 'IN', values: ['alpha', 'beta'] },
    { operation: 'PREFIX', values: ['ci-'] },
  ] as const
  const cases: readonly [string, Resource, Action, boolean][] = [
    ['a named project', repository('alpha', 'r'), 'WRITE', true],
    ['a project by prefix', repository('ci-1', 'r'), 'DELETE', true],
    ['another project', repository('alphabet', 'r'), 'READ', false],
    ['a named project itself', project('beta'), 'MANAGE', true],
    ['another project itself', project('gamma'), 'VIEW', false],
    ['the system', SYSTEM, 'MANAGE', false],
    ['the account of its user', ACCOUNT, 'MANAGE', false],
    ['replication', REPLICATION, 'WRITE', false],
    ['whatever needs a login', LOGIN, 'READ', true],
  ]
  for (const [title, resource, action, expected] of cases) {
    it(`given project rules, when it is about ${title}, then it is ${expected ? 'covered' : 'not covered'}`, () => {
      assert.equal(allowed(coversOfApp({ types: [], projects: rules }), action, resource), expected)
      assert.equal(allowed(coversOfApp({ types: ['SYSTEM'], projects: rules }), action, resource), expected)
    })
  }

  it('given resource types, when something of another type is asked for, then it is not covered', () => {
    const repos = coversOfApp({ types: ['REPO'], projects: [] })
    assert.equal(allowed(repos, 'WRITE', repository('p', 'r')), true)
    assert.equal(allowed(repos, 'VIEW', project('p')), true)
    assert.equal(allowed(repos, 'MANAGE', project('p')), false)
    assert.equal(allowed(repos, 'MANAGE', SYSTEM), false)
    assert.equal(allowed(repos, 'MANAGE', ACCOUNT), false)
    const replication = coversOfApp({ types: ['REPLICATION'], projects: [] })
    assert.equal(allowed(replication, 'WRITE', REPLICATION), true)
    assert.equal(allowed(replication, 'READ', repository('p', 'r')), false)
    const system = coversOfApp({ types: ['SYSTEM'], projects: [] })
    for (const resource of [SYSTEM, ACCOUNT, REPLICATION, project('p'), repository('p', 'r')]) {
      assert.equal(allowed(system, 'MANAGE', resource), true)
    }
  })

  it('given an account without user, when a public repository lies in its projects, then it may read that and no other', () => {
    const covers = coversOfApp({ types: [], projects: rules })
    const nobody = { ...ANONYMOUS, appId: 'app', covers }
    const open = (projectId: string) => ({ ...repository(projectId, 'r'), public: true }) as Resource
    assert.equal(decide(nobody, 'READ', open('alpha')), 'allow')
    assert.equal(decide(nobody, 'READ', open('gamma')), 'deny')
    assert.equal(decide(nobody, 'WRITE', open('alpha')), 'login')
    assert.equal(isOutsideApp(nobody, 'READ', open('gamma')), true)
    assert.equal(isOutsideApp(nobody, 'WRITE', open('alpha')), false)
  })

  it('given an account that acts as service, when it reaches for artifacts, then it is denied', () => {
    assert.equal(allowed(COVERS_SERVICE, 'MANAGE', SYSTEM), true)
    assert.equal(allowed(COVERS_SERVICE, 'READ', repository('p', 'r')), false)
    assert.equal(allowed(COVERS_SERVICE, 'WRITE', REPLICATION), false)
  })
})

describe('scope of a bearer token', () => {
  const covers = coversOfToken([
    { repository: { project: 'p', repo: 'images', name: 'team/app' }, actions: ['READ'] },
    { repository: { project: 'p', repo: 'images', name: 'team/tool' }, actions: ['READ', 'WRITE'] },
    { repository: { project: 'p', repo: 'whole' }, actions: ['WRITE'] },
  ])
  const at = (repo: string, path: string) => repository('p', repo, normalisePath(path))
  const cases: readonly [Action, Resource, boolean][] = [
    ['READ', at('images', '/team/app/manifest.json'), true],
    ['DOWNLOAD', at('images', '/team/app'), true],
    ['WRITE', at('images', '/team/app/manifest.json'), false],
    ['READ', at('images', '/team/apple'), false],
    ['READ', at('images', '/team'), false],
    ['WRITE', at('images', '/team/tool/x'), true],
    ['DELETE', at('images', '/team/tool/x'), false],
    ['UPDATE', at('whole', '/any/where'), true],
    ['READ', at('whole', '/any/where'), false],
    ['READ', at('other', '/team/app'), false],
    ['READ', repository('q', 'images', normalisePath('/team/app')), false],
    ['VIEW', project('p'), false],
    ['READ', SYSTEM, false],
    ['MANAGE', ACCOUNT, false],
    ['READ', LOGIN, false],
  ]
  for (const [action, resource, expected] of cases) {
    it(`given scopes, when it is ${action} on ${Object.values(resource).join(' ')}, then it is ${expected}`, () => {
      assert.equal(allowed(covers, action, resource), expected)
    })
  }

  it('given a token for one name, when all of the repository is listed, then it is not covered', () => {
    const listing = { ...repository('p', 'images'), extent: 'part' } as Resource
    assert.equal(allowed(covers, 'READ', listing), false)
    assert.equal(allowed(covers, 'WRITE', { ...repository('p', 'whole'), extent: 'part' } as Resource), true)
  })
})

describe('a token for the catalog', () => {
  const catalog = { kind: 'catalog' } as const
  const nginx = { kind: 'repository', projectId: 'p', repoName: 'r', path: '/nginx', extent: 'node' } as const
  const resource = { ...nginx, id: 1, public: true } as unknown as Resource

  it('given one, when used, then it is good for the catalog and nothing else; one for an image is not', () => {
    const forCatalog = { ...ANONYMOUS, covers: coversOfToken([{ catalog: true }]) }
    assert.equal(decide(forCatalog, 'READ', catalog), 'allow')
    assert.equal(decide(forCatalog, 'DOWNLOAD', resource), 'deny')
    const image = { repository: { project: 'p', repo: 'r', name: 'nginx' }, actions: ['DOWNLOAD'] } as const
    const forImage = { ...ANONYMOUS, covers: coversOfToken([image]) }
    assert.equal(decide(forImage, 'READ', catalog), 'deny')
    assert.equal(decide(forImage, 'DOWNLOAD', resource), 'allow')
  })
  it('given nobody, when the catalog is asked for, then a login is needed', () => {
    assert.equal(decide(ANONYMOUS, 'READ', catalog), 'login')
  })
})
