import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'
import { normalisePath } from '../../core/paths.ts'
import { type Destination, pathInTarget, planTransfer, type TreeEnd } from './tree-plan.ts'

const end = (text: string): TreeEnd => {
  const [is, path = '', repo = '1'] = text.split(' ')
  return { is: is as TreeEnd['is'], path: normalisePath(path), repoId: Number(repo) }
}

/** What, source, destination, how, and where it goes: a path, nothing, or the code of the refusal. */
const TABLE: readonly (readonly [string, 'both' | 'copy' | 'move', string, string, Destination, string])[] = [
  ['file to an absent path', 'both', 'file /a', 'absent /x/b', 'into-folders', '/x/b'],
  ['file to an existing folder', 'both', 'file /d/a', 'folder /x', 'into-folders', '/x/a'],
  ['file to the root', 'both', 'file /d/a', 'folder /', 'into-folders', '/a'],
  ['file to an existing file', 'both', 'file /a', 'file /b', 'into-folders', '/b'],
  ['folder to an existing folder', 'both', 'folder /d', 'folder /x', 'into-folders', '/x/d'],
  ['folder to an absent path', 'both', 'folder /d', 'absent /x/e', 'into-folders', '/x/e'],
  ['folder to a file', 'both', 'folder /d', 'file /x', 'into-folders', 'NODE_CONFLICT'],
  ['folder to a file of another repository', 'both', 'folder /d', 'file /d 2', 'into-folders', 'NODE_CONFLICT'],
  ['file to its own path', 'both', 'file /a', 'file /a', 'into-folders', 'nothing'],
  ['folder to its own path', 'both', 'folder /d', 'folder /d', 'into-folders', 'nothing'],
  ['file to the folder it lies in', 'both', 'file /d/a', 'folder /d', 'into-folders', 'nothing'],
  ['folder to the folder it lies in', 'both', 'folder /d/e', 'folder /d', 'into-folders', 'nothing'],
  ['top-level file to the root', 'both', 'file /a', 'folder /', 'into-folders', 'nothing'],
  ['the same path in another repository', 'both', 'file /a', 'absent /a 2', 'into-folders', '/a'],
  ['the same folder in another repository', 'both', 'folder /d', 'folder /d 2', 'into-folders', '/d/d'],
  ['folder to an absent path below itself', 'both', 'folder /d', 'absent /d/x/y', 'into-folders', 'NODE_CONFLICT'],
  ['folder to a folder below itself', 'both', 'folder /d', 'folder /d/e', 'into-folders', 'NODE_CONFLICT'],
  ['folder to a sibling whose name begins alike', 'both', 'folder /d', 'absent /d2/x', 'into-folders', '/d2/x'],
  ['folder to where it would contain itself', 'both', 'folder /d/x/x', 'folder /d', 'into-folders', 'NODE_CONFLICT'],
  ['folder below itself, elsewhere', 'both', 'folder /d', 'absent /d/x 2', 'into-folders', '/d/x'],
  ['root to another repository', 'copy', 'folder /', 'folder / 2', 'into-folders', '/'],
  ['root to a folder of another repository', 'copy', 'folder /', 'folder /x 2', 'into-folders', '/x'],
  ['root into itself', 'copy', 'folder /', 'absent /x', 'into-folders', 'NODE_CONFLICT'],
  ['root', 'move', 'folder /', 'absent /x 2', 'into-folders', 'PARAMETER_INVALID'],
  ['folder under a new name', 'move', 'folder /d', 'absent /e', 'exactly', '/e'],
  ['folder under a new name below itself', 'move', 'folder /d', 'absent /d/e', 'exactly', 'NODE_CONFLICT'],
  ['folder to an absent path above itself', 'move', 'folder /d/e', 'absent /f', 'exactly', '/f'],
]

describe('acceptance 15.11: the table of moves and copies', () => {
  for (const [what, kinds, source, destination, how, expected] of TABLE) {
    for (const kind of kinds === 'both' ? (['copy', 'move'] as const) : [kinds]) {
      it(`given ${what}, when planned as a ${kind}, then it is ${expected}`, () => {
        const plan = () => planTransfer(kind, end(source), end(destination), how)
        if (/^[A-Z_]+$/.test(expected)) assert.throws(plan, (error) => hasCode(error, expected as 'NODE_CONFLICT'))
        else assert.equal(plan() ?? 'nothing', expected)
      })
    }
  }
})

describe('paths in the target', () => {
  const at = (path: string, top: string, target: string) =>
    pathInTarget(path as NodePath, top as NodePath, target as NodePath)

  it('given nodes of a tree, when it goes elsewhere, then their paths follow, also from and to the root', () => {
    assert.equal(at('/a/b', '/a/b', '/x'), '/x')
    assert.equal(at('/a/b/c/d', '/a/b', '/x'), '/x/c/d')
    assert.equal(at('/a/b', '/', '/x'), '/x/a/b')
    assert.equal(at('/a/b', '/', '/'), '/a/b')
    assert.equal(at('/a/b', '/a', '/'), '/b')
  })

  it('given a path that would be too long, when it goes elsewhere, then PATH_INVALID', () => {
    const deep = `/a/${Array.from({ length: 62 }, () => 'd').join('/')}`
    assert.throws(
      () => at(deep, '/a', '/x/y/z'),
      (error) => hasCode(error, 'PATH_INVALID'),
    )
  })
})
