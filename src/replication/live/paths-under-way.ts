import { ancestorsOf, type NodePath } from '../../core/paths.ts'

/** Paths of batches that are not settled. */
export interface PathsUnderWay {
  /** None of the paths may be sent beside them: the same path, one above or below it, or a version, which comes after its files. */
  collide(paths: readonly string[]): boolean
  add(paths: readonly string[]): void
  remove(paths: readonly string[]): void
}

const isFile = (path: string): path is NodePath => path.startsWith('/')

export function createPathsUnderWay(): PathsUnderWay {
  const files = new Set<string>()
  /** With how many files below. */
  const folders = new Map<string, number>()
  const above = (path: string): NodePath[] => (isFile(path) ? ancestorsOf(path) : [])
  const count = (folder: string, by: 1 | -1) => {
    const left = (folders.get(folder) ?? 0) + by
    if (left > 0) folders.set(folder, left)
    else folders.delete(folder)
  }
  return {
    collide: (paths) =>
      files.size > 0 &&
      paths.some(
        (path) =>
          !isFile(path) || files.has(path) || folders.has(path) || above(path).some((folder) => files.has(folder)),
      ),
    add(paths) {
      for (const path of paths) {
        files.add(path)
        for (const folder of above(path)) count(folder, 1)
      }
    },
    remove(paths) {
      for (const path of paths) {
        files.delete(path)
        for (const folder of above(path)) count(folder, -1)
      }
    },
  }
}
