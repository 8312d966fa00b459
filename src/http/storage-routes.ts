import { Type } from 'typebox'
import type { Scrub, ScrubRun } from '../artifacts/blobs/scrub.ts'
import { digestHex } from '../core/digest.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import type { CollectionReport } from '../metadata/storage/collection-reports.ts'
import type { ScrubFinding } from '../metadata/storage/scrub-findings.ts'
import type { Dates } from './dates.ts'
import { answers, ok } from './envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from './paging.ts'
import type { Routes } from './route.ts'

export interface StorageRouteDeps {
  readonly scrub: Pick<Scrub, 'request' | 'latest'>
  readonly findings: (page: PageRequest) => Promise<Page<ScrubFinding>>
  readonly collections: () => Promise<readonly CollectionReport[]>
  /** Has the chore done now instead of at its time. */
  readonly hurry: (chore: 'scrub' | 'collect-garbage') => Promise<void>
  readonly dates: Dates
}

const PATH = '/repository/api/storage'
const tags = ['storage']
const ADMIN = { access: 'ADMIN' } as const

const WireDate = Type.String({ description: 'Without zone, e.g. 2021-05-12T12:19:08.813' })
const Count = Type.Integer()
const Bytes = Type.Integer({ description: 'Bytes' })
const RunData = Type.Union([
  Type.Object({
    id: Count,
    requestedBy: Type.String({ description: '`system`: its time had come' }),
    startTime: WireDate,
    endTime: Type.Union([WireDate, Type.Null()]),
    blobs: Count,
    totalBlobs: Count,
    bytes: Bytes,
    totalBytes: Bytes,
    damaged: Count,
    missing: Count,
  }),
  Type.Null(),
])
const FindingData = Type.Object({
  sha256: Type.String(),
  size: Bytes,
  kind: Type.Union([Type.Literal('DAMAGED'), Type.Literal('MISSING')]),
  foundTime: WireDate,
  healed: Type.Boolean({ description: 'Somebody has sent the bytes again since' }),
  files: Type.Array(Type.String(), { description: 'Some of the files with this content, as project/repository/path' }),
})
const CollectionData = Type.Object({
  startTime: WireDate,
  endTime: WireDate,
  purgedNodes: Count,
  examined: Count,
  deletedBlobs: Count,
  freedBytes: Bytes,
  orphans: Count,
})

/** What administrators want to know of stored bytes (core.md 13; the calls are ours). */
export const storageRoutes =
  ({ scrub, findings, collections, hurry, dates }: StorageRouteDeps): Routes =>
  async (app) => {
    const shown = (run: ScrubRun) => ({
      id: run.id,
      requestedBy: run.requestedBy,
      startTime: dates.format(run.startedAt),
      endTime: dates.format(run.endedAt),
      blobs: run.blobs,
      totalBlobs: run.totalBlobs,
      bytes: run.bytes,
      totalBytes: run.totalBytes,
      damaged: run.damaged,
      missing: run.missing,
    })
    const scrubDocument = (summary: string) => ({
      schema: { tags, summary, response: answers(RunData) },
      config: ADMIN,
    })

    app.post(`${PATH}/scrub`, scrubDocument('Read all stored bytes again'), async ({ principal }) => {
      const run = await scrub.request(principal.userId)
      await hurry('scrub')
      return ok(shown(run))
    })

    app.get(`${PATH}/scrub`, scrubDocument('How far the newest scrub is'), async () => {
      const run = await scrub.latest()
      return ok(run === undefined ? null : shown(run))
    })

    app.get(
      `${PATH}/findings`,
      {
        schema: {
          tags,
          summary: 'Blobs that were damaged or missing',
          querystring: Type.Object(PAGE_FIELDS),
          response: answers(PageData(FindingData)),
        },
        config: ADMIN,
      },
      async ({ query }) =>
        ok(
          toPage(await findings(pageOf(query)), ({ digest, sizeBytes, kind, foundAt, healed, files }) => {
            const about = { sha256: digestHex(digest), size: sizeBytes, kind }
            return { ...about, foundTime: dates.format(foundAt), healed, files: [...files] }
          }),
        ),
    )

    app.post(
      `${PATH}/gc`,
      {
        schema: {
          tags,
          summary: 'Have garbage collected now; the report comes to the list',
          response: answers(Type.Null()),
        },
        config: ADMIN,
      },
      async () => {
        await hurry('collect-garbage')
        return ok(null)
      },
    )

    app.get(
      `${PATH}/gc`,
      {
        schema: {
          tags,
          summary: 'Reports of garbage collections, the newest first',
          response: answers(Type.Array(CollectionData)),
        },
        config: ADMIN,
      },
      async () =>
        ok(
          (await collections()).map(({ startedAt, endedAt, ...counts }) => {
            return { startTime: dates.format(startedAt), endTime: dates.format(endedAt), ...counts }
          }),
        ),
    )
  }
