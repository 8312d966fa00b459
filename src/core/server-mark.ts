import { createHash } from 'node:crypto'

/** Header of `GET /v2/`: which server this is, so that one that is told to send images to itself notices. */
export const SERVER_HEADER = 'entrepot-server'

/** Of an installation; says nothing else about it. */
export const serverMark = (clusterId: string): string =>
  createHash('sha256').update(`registry of ${clusterId}`).digest('hex').slice(0, 32)

/** Whether a registry's URL leads to images of this repository, or of names below it, if it is this server's. */
export function isWithinRepository(url: string, project: string, repo: string): boolean {
  const [first, second] = new URL(url).pathname.split('/').filter((part) => part !== '')
  return first === project && second === repo
}
