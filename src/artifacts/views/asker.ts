import type { Extent } from '../../core/path-scope.ts'
import type { NodePath } from '../../core/paths.ts'

/** Who wants to read, as far as repositories that show or fetch from others have to know. */
export interface Asker {
  /** READ of a member of a VIRTUAL repository. */
  mayRead(
    repository: { readonly project: string; readonly name: string },
    path: NodePath,
    extent: Exclude<Extent, 'part'>,
  ): Promise<boolean>
  /** Request header `Via`: servers that the question came through. */
  readonly via: string | undefined
}
