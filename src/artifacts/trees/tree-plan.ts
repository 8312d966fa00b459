import { AppError, invalid } from '../../core/errors.ts'
import { isWithin, type NodePath, nameOf, normalisePath, parentOf, ROOT } from '../../core/paths.ts'

/** One end of a move or copy, as it stands. */
export interface TreeEnd {
  readonly repoId: number
  readonly path: NodePath
  readonly is: 'file' | 'folder' | 'absent'
}
/** `into-folders`: an existing folder takes the source in (move, copy). `exactly`: the name is the new name (rename). */
export type Destination = 'into-folders' | 'exactly'

/**
 * Where the source goes (core.md 7.3); undefined: nothing is to be done. What stands at that very place is for whoever writes there.
 * @throws AppError NODE_CONFLICT, PATH_INVALID, PARAMETER_INVALID for a move of the root.
 */
export function planTransfer(
  kind: 'copy' | 'move',
  source: TreeEnd,
  destination: TreeEnd,
  how: Destination = 'into-folders',
): NodePath | undefined {
  if (kind === 'move' && source.path === ROOT) throw invalid('srcFullPath', 'the root cannot be moved')
  const isSame = source.repoId === destination.repoId
  if (isSame && source.path === destination.path) return undefined
  if (source.is === 'folder' && destination.is === 'file') {
    throw conflict(destination.path, 'a file is there, and the source is a folder')
  }
  if (isSame && source.is === 'folder' && isWithin(destination.path, source.path)) {
    throw conflict(destination.path, `it lies in the source [${source.path}]`)
  }
  const goesInside = destination.is === 'folder' && how === 'into-folders'
  if (goesInside && isSame && parentOf(source.path) === destination.path) return undefined
  const target = goesInside ? pathBelow(destination.path, nameOf(source.path)) : destination.path
  if (isSame && isWithin(source.path, target)) {
    throw conflict(target, `the source [${source.path}] lies in it`)
  }
  return target
}

/** Where a node of the tree at `top` goes when the tree goes to `target`. @throws AppError PATH_INVALID when that is too long. */
export function pathInTarget(path: NodePath, top: NodePath, target: NodePath): NodePath {
  const rest = top === ROOT ? path : path.slice(top.length)
  return rest === '' ? target : pathBelow(target, rest)
}
const pathBelow = (folder: NodePath, rest: string): NodePath => normalisePath(`${folder}/${rest}`)

const conflict = (path: NodePath, why: string): AppError =>
  new AppError('NODE_CONFLICT', `Node [${path}] conflict: ${why}`, { path })
