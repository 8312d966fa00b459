import type { Api } from '../../test/helpers/api.ts'
import { memoryGoal } from '../measurement.ts'
import { type Ask, getRequest, readAll } from '../read-load.ts'
import { atLeast, haveSmall, haveSmallRaw, named, perSecond, type Scenario } from '../scenario.ts'
import { SMALL, SMALL_FILES, type Stage } from '../stage.ts'

const READERS = 32
const READS = 60_000
/** Different files that are read over and over. */
const READ_FILES = 1_000
const GOAL_READS_PER_SECOND = 10_000

/** Reads of whole files, and with `details` as many of their node details in turns. Every answer is compared. */
function readsOf(stage: Stage, api: Api, kinds: readonly ('details' | 'content')[], count: number): Ask[] {
  const headers = { authorization: api.authorization }
  const asks = stage.small.slice(0, READ_FILES).flatMap(({ expected: { path, sha256 }, content }): Ask[] =>
    kinds.map((kind) =>
      kind === 'details'
        ? {
            bytes: getRequest(`/repository/api/node/detail/${SMALL}${path}`, headers),
            check: (body) => (body.includes(sha256) ? undefined : `${path}: another digest`),
          }
        : {
            bytes: getRequest(`/generic/${SMALL}${path}`, headers),
            check: (body) => (body.equals(content as Buffer) ? undefined : `${path}: other content`),
          },
    ),
  )
  return Array.from({ length: count }, (_, index) => asks[index % asks.length]!)
}

export const readSmall: Scenario = {
  name: 'read-small',
  title: `node details and downloads of ${READ_FILES} files of 4 KiB, in turns, authenticated, over ${READERS} connections`,
  async run(stage) {
    await haveSmallRaw(stage)
    await haveSmall(stage)
    const count = Math.ceil((READS * stage.small.length) / SMALL_FILES)
    const load = (api: Api, kinds: readonly ('details' | 'content')[], reads: number) =>
      readAll(Number(new URL(api.url).port), readsOf(stage, api, kinds, reads), READERS)
    await load(stage.a, ['details', 'content'], Math.ceil(count / 5))
    const raw = await stage.measure(() => load(stage.raw, ['content'], count))
    const ours = await stage.measure(() => load(stage.a, ['details', 'content'], count))
    const [value, limit] = [perSecond(count, ours.ms), perSecond(count, raw.ms)]
    const goal = atLeast(value, GOAL_READS_PER_SECOND, '/s')
    return { ...named(this), value, unit: 'reads/s', raw: limit, goals: [goal, memoryGoal([ours.a])], a: ours.a }
  },
}
