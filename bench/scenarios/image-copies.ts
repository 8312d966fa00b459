import type { RecordInfo } from '../../src/cli/run-progress.ts'
import * as calls from '../../test/helpers/replication-calls.ts'
import { trafficOf } from '../../test/helpers/traffic.ts'
import { type CopyEnd, copyImages } from '../images/copier.ts'
import { type BenchImage, imageSet, largeImage } from '../images/image-set.ts'
import { createImageRepository, imagesAt } from '../images/image-stage.ts'
import type { RegistryDoor } from '../images/registry-door.ts'
import { startRegistryPeer } from '../images/registry-peer.ts'
import { allOf, type Middle, takeTurns } from '../images/rounds.ts'
import { skopeoCopy, skopeoSync } from '../images/skopeo.ts'
import { atMost, type Goal, type Measurement, memoryGoal } from '../measurement.ts'
import { openPair, type Pair } from '../pair.ts'
import { MIB, named, perSecond, type Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'

const ROUNDS = 3
const POLL_MS = 20

const times = (ours: Middle, theirs: Middle, least: number, name: string): Goal => {
  const ratio = theirs.ms / ours.ms
  return { text: `≥ ${least} × ${name} (${ratio.toFixed(2)})`, met: ratio >= least }
}
const endAt = ({ url, user, password }: Pair['serverA'], repository: string): CopyEnd => ({
  ...{ url, username: user, password, repository },
})
const lengthOf = ({ startTime, endTime }: RecordInfo): number => Date.parse(`${endTime}Z`) - Date.parse(`${startTime}Z`)

/** A task of one repository for images: the first run is its creation's. */
async function createRun({ a, clusterId }: Pair, repository: string, signal: AbortSignal) {
  const task = calls.taskOf(`images ${repository}`, repository, [clusterId])
  const [object] = task.replicaTaskObjects
  const key = await calls.createTask(a, { ...task, replicaTaskObjects: [{ ...object!, repoType: 'DOCKER' }] }, signal)
  let runs = 0
  const wait = async () => {
    const record = await calls.waitForRun(a, key, { runs: ++runs, pollMs: POLL_MS }, signal)
    if (record.status !== 'SUCCESS') throw new Error(`The run ended ${record.status}: ${record.errorReason}`)
    return { ms: lengthOf(record) }
  }
  return {
    first: wait,
    again: async () => {
      await calls.executeTask(a, key, signal)
      return wait()
    },
  }
}

/** A set of images three times: by a task, by the copier, by skopeo; each of contents of its own, which the target has never seen. */
async function compareCopies(
  stage: Stage,
  name: string,
  set: (seed: number) => BenchImage[],
  goals: { readonly copier: number; readonly skopeo: number },
  signal: AbortSignal,
): Promise<Measurement[]> {
  await using pair = await openPair({ name, dir: stage.dir, dialect: stage.dialect }, signal)
  const ways = ['task', 'copier', 'skopeo'] as const
  const repositoryOf = (way: (typeof ways)[number], round: number) => `bench/${way}${round}`
  const setOf = (way: (typeof ways)[number], round: number) => set(1_000 + ways.indexOf(way) * 100 + round)
  const doors: RegistryDoor[] = []
  for (const way of ways) {
    for (let round = 0; round < ROUNDS; round++) {
      const door = await imagesAt(pair.a, repositoryOf(way, round), signal)
      await door.pushImages(repositoryOf(way, round), setOf(way, round), signal)
      doors.push(door)
      if (way !== 'task') await createImageRepository(pair.b, repositoryOf(way, round), signal)
    }
  }
  const target = await imagesAt(pair.b, 'bench/unused', signal)
  const check = (way: (typeof ways)[number]) => (round: number) =>
    target.mustHold(repositoryOf(way, round), setOf(way, round), signal)
  const servers = [pair.serverA.pid, pair.serverB.pid]
  const ends = (way: (typeof ways)[number], round: number) =>
    [endAt(pair.serverA, repositoryOf(way, round)), endAt(pair.serverB, repositoryOf(way, round))] as const
  let kept: Awaited<ReturnType<typeof createRun>> | undefined
  const [ours, copier, skopeo] = await takeTurns(ROUNDS, [
    {
      ...{ name: 'a task', pids: servers, check: check('task') },
      async run(round: number) {
        const run = await createRun(pair, repositoryOf('task', round), signal)
        kept ??= run
        return run.first()
      },
    },
    {
      ...{ name: 'copier', pids: [...servers, process.pid], check: check('copier') },
      run: (round: number) =>
        copyImages(...ends('copier', round), setOf('copier', round), signal).then(() => undefined),
    },
    {
      ...{ name: 'skopeo sync', pids: servers, check: check('skopeo') },
      run: (round: number) => skopeoSync(stage.dir, ...ends('skopeo', round), setOf('skopeo', round)),
    },
  ])
  const images = setOf('task', 0)
  const small: Measurement[] = []
  const counted = async (what: string, most: { readonly requests: number; readonly ms: number }) => {
    const before = (await trafficOf(pair.b, signal)).syncRequests
    const { ms } = await kept!.again()
    const targetRequests = (await trafficOf(pair.b, signal)).syncRequests - before
    const judged = [atMost('requests', targetRequests, most.requests), atMost('ms', ms, most.ms)]
    small.push({ scenario: `${name}-${what}`, what, value: ms, unit: 'ms', targetRequests, goals: judged })
  }
  for (let time = 0; time < ROUNDS; time++) await counted('unchanged', { requests: 3, ms: 50 })
  for (let time = 0; time < ROUNDS; time++) {
    const changed = { ...set(5_000 + time)[0]!, name: images[0]!.name, tag: images[0]!.tag }
    await doors[0]!.pushImage(repositoryOf('task', 0), changed, signal)
    await counted('one-changed', { requests: 10, ms: 100 })
    await target.mustHold(repositoryOf('task', 0), [changed, ...images.slice(1)], signal)
  }
  for (const door of [...doors, target]) door[Symbol.dispose]()
  const value = perSecond(images.length, ours.ms)
  const cpu = [ours, copier, skopeo].map(({ cpuSeconds }) => cpuSeconds.toFixed(1)).join(', ')
  const what = `task ${allOf(ours)}, copier ${allOf(copier)}, skopeo ${allOf(skopeo)}; processor time ${cpu} s`
  const judged = [
    times(ours, copier, goals.copier, 'copier'),
    times(ours, skopeo, goals.skopeo, 'skopeo sync'),
    memoryGoal(ours.usages),
  ]
  const [a, b] = ours.usages
  return [{ scenario: name, what, value, unit: 'images/s', goals: judged, a: a!, b: b! }, ...small]
}

const NEEDS = ['skopeo']

const imageReplication: Scenario = {
  name: 'image-replication',
  title: '200 images of 3 layers of 4 KiB from cluster to cluster, beside a copier and skopeo sync',
  needs: NEEDS,
  run(stage, signal) {
    const count = Math.max(10, Math.round(200 * stage.scale))
    const set = (seed: number) => imageSet({ count, layers: 3, layerBytes: 4_096, seed })
    return compareCopies(stage, this.name, set, { copier: 3, skopeo: 6 }, signal)
  },
}
const imageTags: Scenario = {
  name: 'image-replication-tags',
  title: '1,000 tags of one image, a layer of 4 KiB each, from cluster to cluster, beside a copier and skopeo sync',
  needs: NEEDS,
  run(stage, signal) {
    const count = Math.max(10, Math.round(1_000 * stage.scale))
    const set = (seed: number) => imageSet({ count, layers: 1, layerBytes: 4_096, seed, of: 'tags' })
    return compareCopies(stage, this.name, set, { copier: 3, skopeo: 6 }, signal)
  },
}

const imageLayer: Scenario = {
  name: 'image-layer',
  title: 'an image with a layer of 1 GiB from cluster to cluster, beside skopeo copy',
  needs: NEEDS,
  async run(stage, signal) {
    await using pair = await openPair({ name: this.name, dir: stage.dir, dialect: stage.dialect }, signal)
    const images = (['task', 'skopeo'] as const).map((way, index) =>
      Array.from({ length: ROUNDS }, (_, round) => ({
        repository: `bench/${way}${round}`,
        image: largeImage(1024 * MIB * stage.scale, 900 + index * 10 + round),
      })),
    )
    const target = await imagesAt(pair.b, 'bench/unused', signal)
    for (const { repository, image } of images.flat()) {
      using door = await imagesAt(pair.a, repository, signal)
      await door.pushImage(repository, image, signal)
      if (repository.includes('skopeo')) await createImageRepository(pair.b, repository, signal)
    }
    const servers = [pair.serverA.pid, pair.serverB.pid]
    const check = (way: number) => async (round: number) => {
      const { repository, image } = images[way]![round]!
      await target.mustHold(repository, [image], signal)
    }
    const [ours, skopeo] = await takeTurns(ROUNDS, [
      {
        ...{ name: 'a task', pids: servers, check: check(0) },
        run: async (round: number) => (await createRun(pair, images[0]![round]!.repository, signal)).first(),
      },
      {
        ...{ name: 'skopeo copy', pids: servers, check: check(1) },
        run(round: number) {
          const { repository, image } = images[1]![round]!
          return skopeoCopy(endAt(pair.serverA, repository), endAt(pair.serverB, repository), image)
        },
      },
    ])
    target[Symbol.dispose]()
    const value = perSecond(1024 * stage.scale, ours.ms)
    const share = ours.cpuSeconds / skopeo.cpuSeconds
    const cpu = `processor time ${ours.cpuSeconds.toFixed(1)} and ${skopeo.cpuSeconds.toFixed(1)} s`
    const goals = [
      times(ours, skopeo, 1.5, 'skopeo copy'),
      { text: `≤ 0.5 of its processor time (${share.toFixed(2)})`, met: share <= 0.5 },
      memoryGoal(ours.usages),
    ]
    const what = `task ${allOf(ours)}, skopeo copy ${allOf(skopeo)}; ${cpu}`
    return { ...named(this), what, value, unit: 'MiB/s', goals, a: ours.usages[0]!, b: ours.usages[1]! }
  },
}

const imageDistribution: Scenario = {
  name: 'image-distribution',
  title: '200 images of 3 layers of 4 KiB to docker-registry, beside skopeo sync and a copier',
  needs: ['docker-registry', ...NEEDS],
  async run(stage, signal) {
    const { name, title } = this
    const env = { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' }
    await using pair = await openPair({ name, dir: stage.dir, dialect: stage.dialect, env }, signal)
    await using peer = await startRegistryPeer(stage.dir, name, signal)
    const count = Math.max(10, Math.round(200 * stage.scale))
    const ways = ['task', 'copier', 'skopeo'] as const
    type WayName = (typeof ways)[number]
    // The registry keeps a content once, whatever repositories have it: each run has contents of its own.
    const setOf = (way: WayName, round: number) =>
      imageSet({ count, layers: 3, layerBytes: 4_096, seed: 7_000 + ways.indexOf(way) * 100 + round })
    for (const way of ways) {
      for (let round = 0; round < ROUNDS; round++) {
        using door = await imagesAt(pair.a, `bench/${way}${round}`, signal)
        await door.pushImages(`bench/${way}${round}`, setOf(way, round), signal)
      }
    }
    const from = (way: WayName, round: number) => endAt(pair.serverA, `bench/${way}${round}`)
    const check = (way: WayName) => (round: number) => peer.door.mustHold(`${way}${round}`, setOf(way, round), signal)
    const pids = [pair.serverA.pid, peer.pid]
    const task = distributions(pair, 'bench', signal)
    const [ours, copier, skopeo] = await takeTurns(ROUNDS, [
      {
        ...{ name: 'a distribution', pids, check: check('task') },
        run: (round: number) => task.create(`task${round}`, 'all', `${peer.door.url}/task${round}`, {}),
      },
      {
        ...{ name: 'copier', pids: [...pids, process.pid], check: check('copier') },
        run: (round: number) =>
          copyImages(
            from('copier', round),
            { url: peer.door.url, repository: `copier${round}` },
            setOf('copier', round),
            signal,
          ).then(() => undefined),
      },
      {
        ...{ name: 'skopeo sync', pids, check: check('skopeo') },
        run: (round: number) =>
          skopeoSync(
            stage.dir,
            from('skopeo', round),
            { url: peer.door.url, repository: `skopeo${round}` },
            setOf('skopeo', round),
          ),
      },
    ])
    const counted = async (run: () => Promise<{ readonly ms: number }>) => {
      const before = await peer.requests()
      const { ms } = await run()
      return { ms, requests: (await peer.requests()) - before }
    }
    const unchanged = await counted(() => task.again('task0', 'all'))
    await task.create('task0', 'checked', `${peer.door.url}/task0`, { storageConsistencyCheck: true })
    const looked = await counted(() => task.again('task0', 'checked'))
    const words = `task ${allOf(ours)}, copier ${allOf(copier)}, skopeo ${allOf(skopeo)}`
    const cpu = [ours, copier, skopeo].map(({ cpuSeconds }) => cpuSeconds.toFixed(1)).join(', ')
    const goals = [
      times(ours, skopeo, 2, 'skopeo sync'),
      times(ours, copier, 1, 'copier'),
      atMost('requests, unchanged', unchanged.requests, 0),
      // One answers `/v2/`.
      atMost('requests, unchanged and looked at', looked.requests, count + 2),
      memoryGoal(ours.usages.slice(0, 1)),
    ]
    const again = `unchanged ${unchanged.ms} ms, looked at ${looked.ms} ms`
    const what = `${title}: ${words}; processor time ${cpu} s; ${again}`
    return { scenario: name, what, value: perSecond(count, ours.ms), unit: 'images/s', goals, a: ours.usages[0]! }
  },
}

/** Distributions of repositories of a project to a registry; the first run of each is its creation's. */
function distributions({ a }: Pair, project: string, signal: AbortSignal) {
  const tasks = new Map<string, { readonly key: string; runs: number }>()
  async function keyOf(full: string): Promise<string> {
    const path = `/replication/api/task/page/${project}?pageSize=100`
    const { records } = await a.call<{ records: { key: string; name: string }[] }>('GET', path, undefined, signal)
    return records.find(({ name }) => name === full)!.key
  }
  async function wait(full: string): Promise<{ readonly ms: number }> {
    const task = tasks.get(full)!
    const record = await calls.waitForRun(a, task.key, { runs: ++task.runs, pollMs: POLL_MS }, signal)
    if (record.status !== 'SUCCESS') throw new Error(`The distribution ended ${record.status}: ${record.errorReason}`)
    return { ms: lengthOf(record) }
  }
  return {
    async create(repository: string, name: string, registry: string, more: object) {
      const sample = calls.taskOf(name, `${project}/${repository}`, [])
      const { packageConstraints, pathConstraints } = sample.replicaTaskObjects[0]!
      const setting = { ...sample.setting, ...more }
      const task = { name, registry, packageConstraints, pathConstraints, replicaType: 'SCHEDULED', setting }
      const path = `/replication/api/remote/distribution/create/${project}/${repository}`
      await a.call('POST', path, { configs: [{ ...task, enable: true }] }, signal)
      const full = `${project}/${repository}/${name}`
      tasks.set(full, { key: await keyOf(full), runs: 0 })
      return wait(full)
    },
    async again(repository: string, name: string) {
      const full = `${project}/${repository}/${name}`
      await calls.executeTask(a, tasks.get(full)!.key, signal)
      return wait(full)
    },
  }
}

export const IMAGE_COPY_SCENARIOS: readonly Scenario[] = [imageReplication, imageTags, imageLayer, imageDistribution]
