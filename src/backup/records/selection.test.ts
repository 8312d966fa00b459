import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import type { RepositorySelector } from '../tasks/backup-task.ts'
import { checkSelectors, createSelection } from './selection.ts'

const selector = (given: Partial<RepositorySelector>): RepositorySelector => ({
  projectId: null,
  projectRegex: null,
  repoList: null,
  repoRegex: null,
  excludeProjects: null,
  excludeRepos: null,
  ...given,
})
const PROJECTS = ['p1', 'p10', 'p2']
const chosen = (...given: Partial<RepositorySelector>[]) => {
  const selection = createSelection(given.map(selector))
  return PROJECTS.filter((project) => selection.selects(project, 'repo'))
}
const refused = (given: Partial<RepositorySelector>, field: string) =>
  assert.throws(
    () => checkSelectors([selector({ projectId: 'p1' }), selector(given)]),
    (error) => hasCode(error, 'PARAMETER_INVALID') && error.detail.name === field,
  )

describe('selectors of a backup', () => {
  it('case 14: given three projects, when patterns choose, then globs and expressions are anchored at both ends', () => {
    for (const [pattern, expected] of [
      ['p1', ['p1']],
      ['p1*', ['p1', 'p10']],
      ['p?', ['p1', 'p2']],
      ['*', PROJECTS],
      ['.*', PROJECTS],
      ['^.*$', PROJECTS],
      ['p(1|2)', ['p1', 'p2']],
      ['^p1$', ['p1']],
      ['p.+0', ['p10']],
      ['1', []],
    ] as const) {
      assert.deepEqual(chosen({ projectRegex: pattern }), expected, pattern)
    }
  })
  it('given a dot, when the pattern is a glob, then it means itself', () => {
    const selection = createSelection([selector({ projectId: 'p1', repoRegex: 'my.repo*' })])
    assert.ok(selection.selects('p1', 'my.repo-2'))
    assert.ok(!selection.selects('p1', 'myxrepo'))
  })
  it('case 15: given exclusions, when projects are chosen, then everything but these is; a named project wins', () => {
    const selection = createSelection([selector({ excludeProjects: ['p2'], excludeRepos: ['r1'] })])
    assert.ok(selection.selects('p1', 'r2'))
    assert.ok(!selection.selects('p1', 'r1'))
    assert.ok(!selection.selects('p2', 'r2'))
    assert.deepEqual(chosen({ projectId: 'p2', projectRegex: 'p1', excludeProjects: ['p2'] }), ['p2'])
    assert.deepEqual(chosen({ projectRegex: 'p1', excludeProjects: ['p1'] }), ['p1'])
  })
  it('given lists of repositories, when they are combined, then the list wins, then the pattern', () => {
    const listed = createSelection([
      selector({ projectId: 'p1', repoList: ['a'], repoRegex: '*', excludeRepos: ['a'] }),
    ])
    assert.ok(listed.selects('p1', 'a'))
    assert.ok(!listed.selects('p1', 'b'))
    const matched = createSelection([selector({ projectId: 'p1', repoRegex: 'a*', excludeRepos: ['ab'] })])
    assert.ok(matched.selects('p1', 'ab'))
  })
  it('given several entries, when one of them takes a repository, then it is taken; without entries none is', () => {
    assert.deepEqual(chosen({ projectId: 'p1' }, { projectRegex: 'p1*' }, { projectId: 'p2' }), PROJECTS)
    const none = createSelection(null)
    assert.ok(!none.selects('p1', 'repo'))
    assert.ok(!none.selectsProject('p1'))
  })
  it('case 5: given entries that say nothing or nonsense, when they are checked, then the entry is named', () => {
    refused({}, 'projects[1]')
    refused({ projectId: '', excludeProjects: [] }, 'projects[1]')
    refused({ projectRegex: '(' }, 'projects[1].projectRegex')
    refused({ projectRegex: 'x'.repeat(257) }, 'projects[1].projectRegex')
    refused({ projectId: 'p', repoRegex: '(?=x)' }, 'projects[1].repoRegex')
    refused({ projectId: 'p', repoRegex: '(a{500}){9}' }, 'projects[1].repoRegex')
    checkSelectors([selector({ projectRegex: 'x'.repeat(256) }), selector({ projectId: 'p', repoRegex: '*' })])
  })
})
