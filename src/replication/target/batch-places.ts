import { ancestorsOf, type NodePath } from '../../core/paths.ts'

/** Where the files of one batch go: two of them that cannot both be there are no reason to refuse the others. */
export interface BatchPlaces {
  /** @returns why the batch has no place for a file there; undefined: it has, and it is taken. */
  take(path: NodePath): string | undefined
}

export function createBatchPlaces(): BatchPlaces {
  const files = new Set<NodePath>()
  const folders = new Set<NodePath>()
  return {
    take(path) {
      if (files.has(path)) return 'the batch has another entry of this path'
      if (folders.has(path)) return 'the batch has a file below it'
      const above = ancestorsOf(path)
      const file = above.find((one) => files.has(one))
      if (file !== undefined) return `the batch has a file at [${file}], where it needs a folder`
      files.add(path)
      for (const folder of above) folders.add(folder)
      return undefined
    },
  }
}
