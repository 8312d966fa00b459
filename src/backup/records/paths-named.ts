import type { NodePath } from '../../core/paths.ts'

/** Which files a broken record is about, as far as it says: of a node or a version. To be compared with paths only, never to be used as one. */
export function pathsNamed(line: string): NodePath[] {
  try {
    const { fullPath, artifactPath, files } = JSON.parse(line) as Readonly<Record<string, unknown>>
    const inFiles = Array.isArray(files) ? files.map((file: { readonly path?: unknown } | null) => file?.path) : []
    return [fullPath, artifactPath, ...inFiles].filter((path): path is NodePath => typeof path === 'string')
  } catch {
    return []
  }
}
