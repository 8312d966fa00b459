import type { DatabaseConfig } from '../../src/metadata/open-database.ts'
import { connectApi } from './api.ts'
import { type ContainerPrograms, containerPrograms } from './container-programs.ts'
import { makePostgres } from './databases.ts'
import { createImageRepository } from './image-blobs.ts'
import { addressOf, type TestDialect } from './local-cluster.ts'
import { addUser } from './registry.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { type TempDir, tempDir } from './temp.ts'

/** A real server process, and the programs that are its clients, logged in nowhere. */
export interface ServedRegistry extends AsyncDisposable {
  readonly server: ServerProcess
  readonly dir: TempDir
  readonly programs: ContainerPrograms
  /** `127.0.0.1:20123/demo/images`; a DOCKER repository. */
  readonly images: string
  /** An OCI repository. */
  readonly others: string
  /** A DOCKER repository that everybody may read. */
  readonly open: string
  /** `user:password` of the administrator, and of one who may read `images` only. */
  readonly admin: string
  readonly reader: string
  /** As the administrator, or as `authorization` says. */
  fetch(target: string, init?: RequestInit): Promise<Response>
  kill(): Promise<void>
  /** Again, where it was. */
  start(): Promise<void>
}

/** @param settings more of them. */
export async function serveRegistry(
  dialect: TestDialect = 'sqlite',
  settings: Readonly<Record<string, string>> = {},
): Promise<ServedRegistry> {
  await using started = new AsyncDisposableStack()
  const { signal } = new AbortController()
  const dir = started.use(await tempDir())
  const database: DatabaseConfig | undefined =
    dialect === 'postgres' ? started.use(await makePostgres()).config : undefined
  const env = { ...settings, ...(database === undefined ? {} : { ENTREPOT_DATABASE: addressOf(database) }) }
  const options = { name: 'registry', dataDir: dir.file('data'), env }
  let server = await startServer(options, signal)
  started.defer(async () => void (await server.stop()))
  const api = started.use(connectApi(server))
  await createImageRepository(api, 'demo/images')
  await createImageRepository(api, 'demo/others', { type: 'OCI' })
  await createImageRepository(api, 'demo/open', { public: true })
  const login = await addUser({ server: { api } }, 'reader', 'images', ['READ'])
  const { host } = new URL(server.url)
  const programs = await containerPrograms(dir.path, [host])
  const { authorization } = api
  const held = started.move()
  return {
    get server() {
      return server
    },
    ...{ dir, programs },
    ...{ images: `${host}/demo/images`, others: `${host}/demo/others`, open: `${host}/demo/open` },
    admin: `${server.user}:${server.password}`,
    reader: Buffer.from(login.replace('Basic ', ''), 'base64').toString(),
    fetch: (target, init = {}) =>
      fetch(new URL(target, server.url), { ...init, headers: { authorization, ...init.headers } }),
    kill: () => server.kill(),
    async start() {
      server = await startServer({ ...options, port: server.port }, signal)
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
