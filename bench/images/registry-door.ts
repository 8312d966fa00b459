import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import type { Content } from '../../test/helpers/api.ts'
import { CONNECTIONS } from '../pair.ts'
import type { BenchBlob, BenchImage } from './image-set.ts'

/** A registry as its clients see it, ours or another. */
export interface RegistryDoor extends Disposable {
  readonly url: string
  readonly port: number
  readonly authorization: string | undefined
  /** As a client pushes: it asks whether each blob is there. @param repository before the image's own name. */
  pushImage(repository: string, image: BenchImage, signal: AbortSignal): Promise<void>
  /** Over all connections. */
  pushImages(repository: string, images: readonly BenchImage[], signal: AbortSignal): Promise<void>
  /** POST, then PUT, or for what is streamed PATCH and PUT. */
  pushBlob(name: string, blob: BenchBlob, signal: AbortSignal): Promise<void>
  /** What there is of an image is what was pushed. @throws Error. */
  mustHold(repository: string, images: readonly BenchImage[], signal: AbortSignal): Promise<void>
  /** All bytes of a body are read, and counted. */
  download(name: string, digest: string, onBytes: (chunk: Buffer) => void, signal: AbortSignal): Promise<void>
}
const ACCEPT = 'application/vnd.oci.image.manifest.v1+json, */*'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface DoorOptions {
  readonly url: string
  readonly authorization?: string | undefined
}

export function openDoor({ url, authorization }: DoorOptions): RegistryDoor {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const login: Record<string, string> = authorization === undefined ? {} : { authorization }

  function open(method: string, target: string, headers: OutgoingHttpHeaders, signal: AbortSignal) {
    const to = new URL(target, url)
    const sent = request(to, { method, agent, signal, headers: { ...login, ...headers } })
    const answered = new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
      sent.on('response', resolve)
      sent.on('error', reject)
    })
    answered.catch(() => {})
    return { sent, answered }
  }
  async function send(
    method: string,
    target: string,
    signal: AbortSignal,
    content?: Content,
    type = 'application/octet-stream',
  ): Promise<Answer> {
    const length = content === undefined ? 0 : Buffer.isBuffer(content) ? content.length : content.sizeBytes
    const headers = content === undefined ? { 'content-length': 0 } : { 'content-length': length, 'content-type': type }
    const { sent, answered } = open(method, target, { ...headers, accept: ACCEPT }, signal)
    if (content === undefined || Buffer.isBuffer(content)) sent.end(content)
    else await pipeline(content.open(), sent)
    const answer = await answered
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: await buffer(answer) }
  }
  async function expect(status: number, asking: Promise<Answer>, what: string): Promise<Answer> {
    const answer = await asking
    if (answer.status !== status)
      throw new Error(`${what} answered ${answer.status}: ${answer.body.toString().slice(0, 300)}`)
    return answer
  }

  const door: RegistryDoor = {
    ...{ url, authorization, port: Number(new URL(url).port) },
    async pushBlob(name, { digest, content }, signal) {
      const begun = await expect(202, send('POST', `/v2/${name}/blobs/uploads/`, signal), 'POST')
      let location = begun.headers.location!
      if (Buffer.isBuffer(content)) {
        await expect(201, send('PUT', withDigest(location, digest), signal, content), 'PUT')
        return
      }
      const stored = await expect(202, send('PATCH', location, signal, content), 'PATCH')
      location = stored.headers.location!
      await expect(201, send('PUT', withDigest(location, digest), signal), 'PUT')
    },
    async pushImage(repository, { name, tag, blobs, manifest }, signal) {
      const place = `${repository}/${name}`
      for (const blob of blobs) {
        const there = await send('HEAD', `/v2/${place}/blobs/${blob.digest}`, signal)
        if (there.status === 404) await door.pushBlob(place, blob, signal)
      }
      const target = `/v2/${place}/manifests/${tag}`
      await expect(201, send('PUT', target, signal, manifest.bytes, manifest.mediaType), `PUT ${target}`)
    },
    async pushImages(repository, images, signal) {
      await mapConcurrent(images, CONNECTIONS, (image, stop) => door.pushImage(repository, image, stop), signal)
    },
    async mustHold(repository, images, signal) {
      const check = async ({ name, tag, blobs, manifest }: BenchImage, stop: AbortSignal) => {
        const place = `/v2/${repository}/${name}`
        const found = await expect(200, send('GET', `${place}/manifests/${tag}`, stop), `${place}:${tag}`)
        const said = found.headers['docker-content-digest']
        if (!found.body.equals(manifest.bytes) || said !== manifest.digest) {
          throw new Error(`${url}${place}:${tag} is ${said} instead of ${manifest.digest}`)
        }
        for (const { digest, content } of blobs) {
          if (!Buffer.isBuffer(content)) continue
          const { body } = await expect(200, send('GET', `${place}/blobs/${digest}`, stop), digest)
          if (!body.equals(content)) throw new Error(`${url}${place} has other bytes as ${digest}`)
        }
      }
      await mapConcurrent(images, CONNECTIONS, check, signal)
    },
    async download(name, digest, onBytes, signal) {
      const { sent, answered } = open('GET', `/v2/${name}/blobs/${digest}`, {}, signal)
      sent.end()
      const answer = await answered
      if (answer.statusCode !== 200) throw new Error(`GET of ${digest} answered ${answer.statusCode}`)
      for await (const chunk of answer) onBytes(chunk as Buffer)
    },
    [Symbol.dispose]: () => agent.destroy(),
  }
  return door
}

/** What a client adds to a `Location`, which may have a query of its own. */
const withDigest = (location: string, digest: string): string =>
  `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
