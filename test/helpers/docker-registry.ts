import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { tempDir } from './temp.ts'
import type { TokenService } from './token-service.ts'

/** The program of Debian's package of the same name; say `needs(DOCKER_REGISTRY)` before. */
export const DOCKER_REGISTRY = 'docker-registry'

export interface DockerRegistry extends AsyncDisposable {
  readonly url: string
  /** `127.0.0.1:20123`, as image names begin. */
  readonly host: string
  /** All that it printed. */
  output(): string
  /** As kill -9 does; its data stays until it is disposed. */
  kill(): Promise<void>
  start(): Promise<void>
}

export interface DockerRegistryTraits {
  /** It takes tokens of this service only. */
  readonly tokens?: TokenService
}

const STARTS_WITHIN_MS = 10_000

/** A real registry with empty storage on a port of its own, deletion allowed. */
export async function startDockerRegistry({ tokens }: DockerRegistryTraits = {}): Promise<DockerRegistry> {
  const dir = await tempDir()
  const host = `127.0.0.1:${await freePort()}`
  const config = `version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: ${dir.file('data')}
  delete:
    enabled: true
http:
  addr: ${host}
${tokens === undefined ? '' : authOf(tokens, dir.file('root.pem'))}`
  await writeFile(dir.file('config.yml'), config)
  if (tokens !== undefined) await writeFile(dir.file('root.pem'), tokens.certificate)
  let output = ''
  let running: ReturnType<typeof spawn> | undefined

  async function start(): Promise<void> {
    const started = spawn(DOCKER_REGISTRY, ['serve', dir.file('config.yml')], { stdio: ['ignore', 'pipe', 'pipe'] })
    running = started
    for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk) => (output += chunk))
    for (let waitedMs = 0; ; waitedMs += 20) {
      if (started.exitCode !== null || waitedMs > STARTS_WITHIN_MS)
        throw new Error(`docker-registry does not start:\n${output}`)
      if (
        await fetch(`http://${host}/v2/`).then(
          () => true,
          () => false,
        )
      )
        return
      await sleep(20)
    }
  }
  async function kill(): Promise<void> {
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const ended = once(running, 'exit')
    running.kill('SIGKILL')
    await ended
  }

  await start()
  return {
    ...{ url: `http://${host}`, host, output: () => output, kill, start },
    async [Symbol.asyncDispose]() {
      await kill()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const authOf = ({ realm, service, issuer }: TokenService, rootPath: string): string => `auth:
  token:
    realm: ${realm}
    service: ${service}
    issuer: ${issuer}
    rootcertbundle: ${rootPath}
`
