import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../test/helpers/free-port.ts'
import { type PeerServer, startPeer } from '../peers.ts'
import { openDoor, type RegistryDoor } from './registry-door.ts'

export interface RegistryPeer extends PeerServer {
  readonly door: RegistryDoor
  /** How many it has answered. */
  requests(): Promise<number>
}

/** docker-registry with empty storage in a directory below `dir`, with nothing but its files to do: a line of log for each request, no login. */
export async function startRegistryPeer(dir: string, name: string, signal: AbortSignal): Promise<RegistryPeer> {
  const port = await freePort()
  const home = join(dir, name)
  await mkdir(home, { recursive: true })
  const log = join(home, 'requests.log')
  const config = join(home, 'config.yml')
  await writeFile(
    config,
    `version: 0.1
log: { level: error, accesslog: { disabled: false } }
storage: { filesystem: { rootdirectory: ${join(home, 'data')} }, cache: { blobdescriptor: inmemory } }
http: { addr: "127.0.0.1:${port}" }
`,
  )
  const server = await startPeer(['sh', '-c', `exec docker-registry serve ${config} >${log} 2>/dev/null`], port, signal)
  const door = openDoor({ url: `http://127.0.0.1:${port}` })
  return {
    ...{ pid: server.pid, door },
    requests: async () => (await readFile(log, 'utf8')).split('\n').length - 1,
    async [Symbol.asyncDispose]() {
      door[Symbol.dispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}
