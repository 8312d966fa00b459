import { wrongDownloads } from '../../demo/compare.ts'
import type { Api } from '../../test/helpers/api.ts'
import { memoryGoal } from '../measurement.ts'
import { CONNECTIONS } from '../pair.ts'
import { haveLarge, haveLargeRaw, haveSmall, haveSmallRaw, MIB, named, perSecond, type Scenario } from '../scenario.ts'
import { LARGE } from '../stage.ts'

export const uploadLarge: Scenario = {
  name: 'upload-large',
  title: 'one upload of 1 GiB: hashing and fsync included',
  async run(stage) {
    const mib = stage.large.expected.sizeBytes / MIB
    const raw = await stage.measure(() => haveLargeRaw(stage))
    const ours = await stage.measure(() => haveLarge(stage))
    const [value, limit] = [perSecond(mib, ours.ms), perSecond(mib, raw.ms)]
    return { ...named(this), value, unit: 'MiB/s', raw: limit, goals: [memoryGoal([ours.a])], a: ours.a }
  },
}

export const downloadLarge: Scenario = {
  name: 'download-large',
  title: 'one download of 1 GiB',
  async run(stage, signal) {
    const { path, sizeBytes } = stage.large.expected
    await haveLargeRaw(stage)
    await haveLarge(stage)
    const fetchAll = async (api: Api) => {
      let received = 0
      for await (const chunk of await api.download(LARGE, path, signal)) received += (chunk as Buffer).length
      if (received !== sizeBytes) throw new Error(`${received} bytes arrived instead of ${sizeBytes}`)
    }
    const raw = await stage.measure(() => fetchAll(stage.raw))
    const ours = await stage.measure(() => fetchAll(stage.a))
    const wrong = await wrongDownloads(stage.a, LARGE, [stage.large.expected], signal)
    if (wrong.length > 0) throw new Error(wrong.join('; '))
    const [value, limit] = [perSecond(sizeBytes / MIB, ours.ms), perSecond(sizeBytes / MIB, raw.ms)]
    return { ...named(this), value, unit: 'MiB/s', raw: limit, goals: [memoryGoal([ours.a])], a: ours.a }
  },
}

export const uploadSmall: Scenario = {
  name: 'upload-small',
  title: `uploads of 4 KiB over ${CONNECTIONS} connections`,
  async run(stage) {
    const raw = await stage.measure(() => haveSmallRaw(stage))
    const ours = await stage.measure(() => haveSmall(stage))
    const [value, limit] = [perSecond(stage.small.length, ours.ms), perSecond(stage.small.length, raw.ms)]
    return { ...named(this), value, unit: 'uploads/s', raw: limit, goals: [memoryGoal([ours.a])], a: ours.a }
  },
}
