import type { Pair } from '../pair.ts'
import { openDoor, type RegistryDoor } from './registry-door.ts'

/** A repository for images at a server, and its door. */
export async function imagesAt(api: Pair['a'], repository: string, signal: AbortSignal): Promise<RegistryDoor> {
  await createImageRepository(api, repository, signal)
  return openDoor({ url: api.url, authorization: api.authorization })
}

/** As container programs read: with a token for one image. */
export async function tokenFor({ url, authorization }: Pair['a'], image: string): Promise<string> {
  const answer = await fetch(`${url}/v2/auth?service=bench&scope=repository:${image}:pull`, {
    headers: { authorization },
  })
  if (!answer.ok) throw new Error(`The token endpoint answered ${answer.status}`)
  return `Bearer ${((await answer.json()) as { token: string }).token}`
}

export async function createImageRepository(api: Pair['a'], repository: string, signal: AbortSignal): Promise<void> {
  const [projectId, name] = repository.split('/')
  if (!(await api.call<boolean>('GET', `/repository/api/project/exist/${projectId}`, undefined, signal))) {
    const project = { name: projectId, displayName: projectId, description: 'Images of the bench' }
    await api.call('POST', '/repository/api/project/create', project, signal)
  }
  const body = { projectId, name, type: 'DOCKER', category: 'LOCAL', public: false, description: null }
  await api.call('POST', '/repository/api/repo/create', body, signal)
}
