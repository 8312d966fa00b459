import { AppError } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'

export const folderDownload = (path: NodePath): AppError =>
  new AppError('FOLDER_DOWNLOAD_DISABLED', `Node [${path}] is a folder, which cannot be downloaded`, { path })
