import type {} from '@fastify/swagger'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { RunProgress } from '../backup/tasks/backup-task.ts'
import type { Metrics } from '../core/metrics.ts'
import type { BackupFare } from '../metadata/backup/runs.ts'
import type { Access, Routes } from './route.ts'

/** Values that are looked up when somebody scrapes. */
export interface Samplers {
  /** Jobs that are due and wait. */
  queueDepth(): Promise<number>
  /** By name of the target cluster: how long its oldest change waits, in milliseconds. */
  replicationLagMs(): Promise<ReadonlyMap<string, number>>
  /** By state: links that follow changes, or would. */
  liveLinks(): Promise<ReadonlyMap<string, number>>
  /** By kind: blobs whose bytes the scrub found to be wrong or gone, and that nobody has sent again. */
  wantingBlobs(): Promise<Readonly<Record<string, number>>>
  /** Files that small blobs share, as they were last counted. */
  segments(): Promise<{ readonly segments: number; readonly bytes: number; readonly deadBytes: number }>
  /** How tasks of backup and restore have fared. */
  backups(): Promise<readonly BackupFare[]>
}

export interface ServerMetrics extends Metrics {
  request(request: FastifyRequest, reply: FastifyReply): void
  /** Prometheus text format. */
  render(): Promise<string>
  readonly contentType: string
  /** Adds memory, CPU, event loop and garbage collection of this process; once per process. */
  watchProcess(): void
}

const DURATIONS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60]

/** One registry per server, so that two servers in one process do not mix their numbers. */
export function createServerMetrics(samplers: Samplers): ServerMetrics {
  const registers = [new Registry()]
  const registry = registers[0]!
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name: `entrepot_${name}`, help, labelNames, registers })

  const requests = counter('http_requests_total', 'HTTP requests', ['method', 'route', 'status'])
  const durations = new Histogram({
    name: 'entrepot_http_request_duration_seconds',
    help: 'Time from the request to the end of its answer',
    labelNames: ['method', 'route'],
    buckets: DURATIONS_SECONDS,
    registers,
  })
  const received = counter('http_received_bytes_total', 'Bytes of requests, headers included', [])
  const sent = counter('http_sent_bytes_total', 'Bytes of answers, headers included', [])
  const runs = counter('runs_total', 'Ended runs of replication tasks', ['status'])
  const artifacts = counter('artifacts_total', 'Artifacts in runs, by what became of them', ['result'])
  const replicated = counter('replicated_bytes_total', 'Bytes of blobs sent to other clusters', [])
  const syncReceived = counter('sync_received_bytes_total', 'Bytes of contents that other clusters sent here', [])
  const syncRedundant = counter('sync_redundant_bytes_total', 'Bytes among them that were here already', [])
  new Gauge({
    name: 'entrepot_queue_depth',
    help: 'Jobs that are due and wait',
    registers,
    async collect() {
      this.set(await samplers.queueDepth())
    },
  })
  new Gauge({
    name: 'entrepot_replication_lag_seconds',
    help: 'Age of the oldest change that waits for a cluster',
    labelNames: ['cluster'],
    registers,
    async collect() {
      this.reset()
      for (const [cluster, lagMs] of await samplers.replicationLagMs()) this.set({ cluster }, lagMs / 1000)
    },
  })

  new Gauge({
    name: 'entrepot_live_links',
    help: 'Links of REAL_TIME tasks, by state',
    labelNames: ['state'],
    registers,
    async collect() {
      this.reset()
      for (const [state, links] of await samplers.liveLinks()) this.set({ state }, links)
    },
  })

  new Gauge({
    name: 'entrepot_wanting_blobs',
    help: 'Blobs that were found damaged or missing and are not healed',
    labelNames: ['kind'],
    registers,
    async collect() {
      for (const [kind, count] of Object.entries(await samplers.wantingBlobs())) this.set({ kind }, count)
    },
  })

  const segments = new Gauge({ name: 'entrepot_segments', help: 'Files that small blobs share', registers })
  new Gauge({
    name: 'entrepot_segment_bytes',
    help: 'Bytes of sealed segments: live, or dead and waiting for compaction',
    labelNames: ['kind'],
    registers,
    async collect() {
      const sum = await samplers.segments()
      segments.set(sum.segments)
      this.set({ kind: 'live' }, sum.bytes - sum.deadBytes)
      this.set({ kind: 'dead' }, sum.deadBytes)
    },
  })

  /** As of this scrape. */
  let fares: readonly BackupFare[] = []
  const ofBackups = (
    name: string,
    help: string,
    more: string[],
    sampleOf: (fare: BackupFare) => readonly [number | null, Readonly<Record<string, string>>?],
  ) =>
    new Gauge({
      name: `entrepot_backup_${name}`,
      help,
      labelNames: ['task', 'type', ...more],
      registers,
      collect() {
        this.reset()
        for (const fare of fares) {
          const [value, labels] = sampleOf(fare)
          if (value !== null) this.set({ task: fare.name, type: fare.type, ...labels }, value)
        }
      },
    })
  ofBackups('last_success_timestamp_seconds', 'When a run last ended without an error', [], ({ lastSuccessAt }) => [
    lastSuccessAt && lastSuccessAt / 1000,
  ])
  ofBackups('last_result', 'How the last run ended: 1 at its result', ['result'], ({ lastResult }) => [
    1,
    { result: lastResult },
  ])
  ofBackups('last_bytes', 'Bytes of contents in the last run', [], ({ lastProgress }) => [
    (JSON.parse(lastProgress) as RunProgress).bytes,
  ])

  const counted = new WeakMap<object, { in: number; out: number }>()
  return {
    contentType: registry.contentType,
    async render() {
      fares = await samplers.backups()
      return registry.metrics()
    },
    watchProcess: () => collectDefaultMetrics({ register: registry }),
    runEnded: (status) => runs.inc({ status }),
    artifacts: (result, count) => artifacts.inc({ result }, count),
    replicatedBytes: (count) => replicated.inc(count),
    syncReceivedBytes: (count) => syncReceived.inc(count),
    syncRedundantBytes: (count) => syncRedundant.inc(count),
    request({ method, routeOptions, raw }, reply) {
      const route = routeOptions.url ?? 'unknown'
      requests.inc({ method, route, status: String(reply.statusCode) })
      durations.observe({ method, route }, reply.elapsedTime / 1000)
      // A connection carries many requests: what it moved since the last one is counted. Injected requests have none.
      const { bytesRead = 0, bytesWritten = 0 } = raw.socket
      const before = counted.get(raw.socket) ?? { in: 0, out: 0 }
      received.inc(Math.max(0, bytesRead - before.in))
      sent.inc(Math.max(0, bytesWritten - before.out))
      counted.set(raw.socket, { in: bytesRead, out: bytesWritten })
    },
  }
}

/** `GET /metrics`. Scrapers rarely log in, so that it is open unless `metrics.public` is off; it names clusters, never contents. */
export const metricsRoutes =
  ({ metrics, access }: { readonly metrics: ServerMetrics; readonly access: Access }): Routes =>
  async (app) => {
    const text = {
      200: { description: 'Prometheus text format', content: { 'text/plain': { schema: { type: 'string' } } } },
    }
    const schema = { tags: ['operations'], summary: 'Metrics for Prometheus', response: text }
    app.get('/metrics', { config: { access }, schema }, async (_request, reply) => {
      return reply.type(metrics.contentType).send(await metrics.render())
    })
  }
