import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type BenchImage, imageSet, largeImage } from '../images/image-set.ts'
import { imagesAt, tokenFor } from '../images/image-stage.ts'
import type { RegistryDoor } from '../images/registry-door.ts'
import { type RegistryPeer, startRegistryPeer } from '../images/registry-peer.ts'
import { allOf, takeTurns } from '../images/rounds.ts'
import { atMost, type Goal, type Measurement, memoryGoal } from '../measurement.ts'
import { type Ask, getRequest, readAll } from '../read-load.ts'
import { atLeast, MIB, named, perSecond, type Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'

const ROUNDS = 3
const NEEDS = ['docker-registry']
const READERS = 64
const READS = 20_000
/** docker-registry takes as long for so much less. */
const PEER_SHARE = 0.15

interface Doors extends AsyncDisposable {
  readonly ours: RegistryDoor
  readonly peer: RegistryPeer
}
/** Of a scenario's own. */
async function openDoors(stage: Stage, repository: string, signal: AbortSignal): Promise<Doors> {
  const ours = await imagesAt(stage.a, repository, signal)
  const peer = await startRegistryPeer(stage.dir, `registry-${repository.replace('/', '-')}`, signal)
  return {
    ...{ ours, peer },
    async [Symbol.asyncDispose]() {
      ours[Symbol.dispose]()
      await peer[Symbol.asyncDispose]()
    },
  }
}

const timesAs = (ratio: number, least: number): Goal => atLeast(ratio, least, `× docker-registry (${ratio.toFixed(2)})`)
const p99Of = (times: number[]): number => times.sort((one, other) => one - other)[Math.floor(times.length * 0.99)] ?? 0

/** The same reads from both, in turns. */
async function compareReads(
  { stage, doors, targets, login }: ReadComparison,
  count: number,
): Promise<{ rate: number; peerRate: number; p99: number; peerP99: number; memory: Goal; words: string }> {
  const asksOf = (authorization: string | undefined, reads: number): Ask[] => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
    const asks = targets.map(({ path, bytes, accept }): Ask => {
      const all = accept === undefined ? headers : { ...headers, accept }
      return {
        bytes: getRequest(path, all),
        check: (body) => (body.equals(bytes) ? undefined : `${path}: other content`),
      }
    })
    return Array.from({ length: reads }, (_, index) => asks[index % asks.length]!)
  }
  const peerCount = Math.ceil(count * PEER_SHARE)
  const [ours, theirs] = [asksOf(login, count), asksOf(undefined, peerCount)]
  const times: [number[][], number[][]] = [[], []]
  const reading = (door: RegistryDoor, asks: readonly Ask[], which: 0 | 1) => async () => {
    const own: number[] = []
    times[which].push(own)
    await readAll(door.port, asks, READERS, (ms) => own.push(ms))
    return undefined
  }
  await readAll(doors.ours.port, ours.slice(0, Math.ceil(count / 5)), READERS)
  await readAll(doors.peer.door.port, theirs.slice(0, Math.ceil(peerCount / 5)), READERS)
  const [us, them] = await takeTurns(ROUNDS, [
    { name: 'ours', pids: [stage.serverA.pid], run: reading(doors.ours, ours, 0) },
    { name: 'docker-registry', pids: [doors.peer.pid], run: reading(doors.peer.door, theirs, 1) },
  ])
  const middleP99 = (all: number[][]) => all.map(p99Of).sort((one, other) => one - other)[Math.floor(all.length / 2)]!
  const cpu = (us.cpuSeconds / count) * 1e6
  const peerCpu = (them.cpuSeconds / peerCount) * 1e6
  return {
    ...{ rate: perSecond(count, us.ms), peerRate: perSecond(peerCount, them.ms) },
    ...{ p99: middleP99(times[0]), peerP99: middleP99(times[1]) },
    memory: memoryGoal(us.usages),
    words: `${cpu.toFixed(0)} and ${peerCpu.toFixed(0)} µs of processor time each`,
  }
}
interface ReadComparison {
  readonly stage: Stage
  readonly doors: Doors
  readonly targets: readonly { readonly path: string; readonly bytes: Buffer; readonly accept?: string }[]
  readonly login: string
}

const imageManifests: Scenario = {
  name: 'image-manifests',
  title: `manifests of 100 tags, by tag and by digest in turns, ${READERS} connections, beside docker-registry`,
  needs: NEEDS,
  async run(stage, signal) {
    const repository = 'bench/manifests'
    await using doors = await openDoors(stage, repository, signal)
    const images = imageSet({ count: 100, layers: 3, layerBytes: 2_048, seed: 1, of: 'tags' })
    for (const door of [doors.ours, doors.peer.door]) await door.pushImages(repository, images, signal)
    const targets = images.flatMap(({ name, tag, manifest: { bytes, digest, mediaType: accept } }) =>
      [tag, digest].map((reference) => ({ path: `/v2/${repository}/${name}/manifests/${reference}`, bytes, accept })),
    )
    const login = await tokenFor(stage.a, `${repository}/app`)
    const read = await compareReads({ stage, doors, targets, login }, Math.ceil(READS * stage.scale))
    const { rate, peerRate, p99, peerP99, memory, words } = read
    const goals = [timesAs(rate / peerRate, 6), atMost('p99 ms', Number(p99.toFixed(1)), 15), memory]
    const what = `${this.title}; p99 ${p99.toFixed(1)} and ${peerP99.toFixed(1)} ms, ${words}`
    return { ...named(this), what, value: rate, unit: 'reads/s', raw: peerRate, goals }
  },
}

const imageBlobs: Scenario = {
  name: 'image-blobs',
  title: `blobs of 64 KiB, ${READERS} connections, beside docker-registry`,
  needs: NEEDS,
  async run(stage, signal) {
    const repository = 'bench/blobs'
    await using doors = await openDoors(stage, repository, signal)
    // With what gzip adds, just below 64 KiB.
    const images = imageSet({ count: 100, layers: 2, layerBytes: 65_450, seed: 2, of: 'tags' })
    for (const door of [doors.ours, doors.peer.door]) await door.pushImages(repository, images, signal)
    const targets = images.flatMap(({ name, blobs }) =>
      blobs.slice(0, 2).map(({ digest, content }) => ({
        path: `/v2/${repository}/${name}/blobs/${digest}`,
        bytes: content as Buffer,
      })),
    )
    const login = await tokenFor(stage.a, `${repository}/app`)
    const read = await compareReads({ stage, doors, targets, login }, Math.ceil((READS / 2) * stage.scale))
    const { rate, peerRate, p99, peerP99, memory, words } = read
    const what = `${this.title}; p99 ${p99.toFixed(1)} and ${peerP99.toFixed(1)} ms, ${words}`
    return {
      ...named(this),
      what,
      value: rate,
      unit: 'reads/s',
      raw: peerRate,
      goals: [timesAs(rate / peerRate, 3), memory],
    }
  },
}

const imageSmallPush: Scenario = {
  name: 'image-small-push',
  title: 'pushes of images of 3 layers of 4 KiB, 16 connections, beside docker-registry',
  needs: NEEDS,
  async run(stage, signal) {
    const repository = 'bench/pushes'
    await using doors = await openDoors(stage, repository, signal)
    const count = Math.max(10, Math.round(200 * stage.scale))
    const sets = Array.from({ length: ROUNDS }, (_, round) =>
      imageSet({ count, layers: 3, layerBytes: 4_096, seed: 10 + round }).map((image) => ({
        ...image,
        name: `r${round}/${image.name}`,
      })),
    )
    const way = (name: string, door: RegistryDoor, pid: number) => ({
      ...{ name, pids: [pid] },
      run: (round: number) => door.pushImages(repository, sets[round]!, signal).then(() => undefined),
      check: (round: number) => door.mustHold(repository, sets[round]!, signal),
    })
    const [us, them] = await takeTurns(ROUNDS, [
      way('ours', doors.ours, stage.serverA.pid),
      way('docker-registry', doors.peer.door, doors.peer.pid),
    ])
    const [value, raw] = [perSecond(count, us.ms), perSecond(count, them.ms)]
    const what = `${this.title}; ${cpuWords(us.cpuSeconds, them.cpuSeconds, count)}`
    const goals = [timesAs(value / raw, 4), memoryGoal(us.usages)]
    return { ...named(this), what, value, unit: 'images/s', raw, goals, a: us.usages[0]! }
  },
}
const cpuWords = (ours: number, theirs: number, count: number): string =>
  `${((ours / count) * 1e3).toFixed(1)} and ${((theirs / count) * 1e3).toFixed(1)} ms of processor time each`

const imageLarge: Scenario = {
  name: 'image-large',
  title: 'a layer of 1 GiB pushed and pulled, beside docker-registry',
  needs: NEEDS,
  async run(stage, signal) {
    const repository = 'bench/large-layers'
    await using doors = await openDoors(stage, repository, signal)
    const images = Array.from({ length: ROUNDS }, (_, round) => largeImage(1024 * MIB * stage.scale, 500 + round))
    const place = (round: number) => `${repository}/large${round}`
    const mib = sizeOf(images[0]!.layer.content) / MIB
    const both = [
      { name: 'ours', door: doors.ours, pid: stage.serverA.pid },
      { name: 'docker-registry', door: doors.peer.door, pid: doors.peer.pid },
    ] as const
    const pushing = ({ name, door, pid }: (typeof both)[number]) => ({
      ...{ name: `push, ${name}`, pids: [pid] },
      run: (round: number) => door.pushBlob(place(round), images[round]!.layer, signal).then(() => undefined),
    })
    const [push, peerPush] = await takeTurns(ROUNDS, [pushing(both[0]), pushing(both[1])])
    const pulling = ({ name, door, pid }: (typeof both)[number]) => ({
      ...{ name: `pull, ${name}`, pids: [pid] },
      async run(round: number) {
        let bytes = 0
        await door.download(place(round), images[round]!.layer.digest, (chunk) => (bytes += chunk.length), signal)
        if (bytes !== sizeOf(images[round]!.layer.content)) throw new Error(`${name} sent ${bytes} bytes`)
        return undefined
      },
    })
    const [pull, peerPull] = await takeTurns(ROUNDS, [pulling(both[0]), pulling(both[1])])
    for (const { door } of both) await mustBeRight(door, place(0), images[0]!, signal)
    const of = (what: string, ours: typeof push, theirs: typeof push, least: number): Measurement => {
      const [value, raw] = [perSecond(mib, ours.ms), perSecond(mib, theirs.ms)]
      const cpu = `${ours.cpuSeconds.toFixed(1)} and ${theirs.cpuSeconds.toFixed(1)} s of processor time`
      const words = `${what} of 1 GiB: ${allOf(ours)}, docker-registry ${allOf(theirs)}; ${cpu}`
      const goals = [timesAs(value / raw, least), memoryGoal(ours.usages)]
      return { scenario: `image-large-${what}`, what: words, value, unit: 'MiB/s', raw, goals, a: ours.usages[0]! }
    }
    return [of('push', push, peerPush, 2), of('pull', pull, peerPull, 0.5)]
  },
}
const sizeOf = (content: BenchImage['blobs'][number]['content']): number =>
  Buffer.isBuffer(content) ? content.length : content.sizeBytes

async function mustBeRight(
  door: RegistryDoor,
  name: string,
  { layer }: ReturnType<typeof largeImage>,
  signal: AbortSignal,
) {
  const hash = createHash('sha256')
  await door.download(name, layer.digest, (chunk) => hash.update(chunk), signal)
  if (`sha256:${hash.digest('hex')}` !== layer.digest)
    throw new Error(`${door.url} holds other bytes as ${layer.digest}`)
}

export const IMAGE_SCENARIOS: readonly Scenario[] = [imageManifests, imageBlobs, imageSmallPush, imageLarge]
