import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { ImageName } from './image-paths.ts'

/** An image of a repository, whether anything is in it or not. */
export interface ImagePlace {
  readonly repository: Repository
  readonly image: ImageName
}
