import { type NodePath, normalisePath } from '../core/paths.ts'
import { CliFailure, EXIT } from './cli-failure.ts'

/** `project/repo/path`, as commands name things. */
export interface RemotePath {
  readonly project: string
  readonly repo: string
  readonly path: NodePath
  /** The user ended it with a slash: a folder is meant. */
  readonly isFolder: boolean
}

/** @throws CliFailure for anything but `project/repo[/path]`. */
export function remotePath(text: string): RemotePath {
  const [project = '', repo = '', ...rest] = text.replace(/^\//, '').split('/')
  if (project === '' || repo === '') {
    throw new CliFailure(`"${text}" names no repository: write project/repository/path`, EXIT.usage)
  }
  return { project, repo, path: normalisePath(rest.join('/')), isFolder: rest.length === 0 || rest.at(-1) === '' }
}

/** `project/repo`. @throws CliFailure. */
export function repositoryName(text: string): Pick<RemotePath, 'project' | 'repo'> {
  const { project, repo, path } = remotePath(text)
  if (path !== '/') throw new CliFailure(`"${text}" is no repository: write project/repository`, EXIT.usage)
  return { project, repo }
}
