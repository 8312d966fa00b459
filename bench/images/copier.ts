import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { systemClock } from '../../src/app/system-clock.ts'
import { systemRandom } from '../../src/app/system-random.ts'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import { type ContentName, parseContentName } from '../../src/core/content-name.ts'
import { pulledFrom } from '../../src/core/pull-source.ts'
import { createRegistryClient, type RegistryClient } from '../../src/remotes/oci/registry-client.ts'

const IMAGES_AT_ONCE = 16

export interface CopyEnd {
  readonly url: string
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Before the image's own name. */
  readonly repository: string
}
export interface CopiedImage {
  readonly name: string
  readonly tag: string
}

/** What a good copier that knows nothing but the distribution specification would do: 16 images at once, blobs that are missing only. */
export async function copyImages(
  from: CopyEnd,
  to: CopyEnd,
  images: readonly CopiedImage[],
  signal: AbortSignal,
): Promise<void> {
  using source = clientOf(from)
  using target = clientOf(to)
  const copy = ({ name, tag }: CopiedImage, stop: AbortSignal) =>
    copyImage({ source, target, from: `${from.repository}/${name}`, to: `${to.repository}/${name}` }, tag, stop)
  await mapConcurrent(images, IMAGES_AT_ONCE, copy, signal)
}

function clientOf({ url, username, password }: CopyEnd): RegistryClient {
  const rules = { allowPrivate: true }
  return createRegistryClient({ url, username, password }, { clock: systemClock, random: systemRandom, rules })
}

interface Copying {
  readonly source: RegistryClient
  readonly target: RegistryClient
  readonly from: string
  readonly to: string
}

async function copyImage({ source, target, from, to }: Copying, tag: string, signal: AbortSignal): Promise<void> {
  const manifest = await source.getManifest(from, tag, signal)
  if (manifest === undefined) throw new Error(`${from}:${tag} is not there`)
  const { config, layers } = JSON.parse(manifest.bytes.toString()) as Record<'config', Named> & { layers: Named[] }
  for (const { digest } of [...layers, config]) {
    const name = parseContentName(digest) as ContentName
    if (await target.hasBlob(to, name, signal)) continue
    const blob = await source.getBlob(from, name, {}, signal)
    if (blob === undefined) throw new Error(`${from} lacks ${digest}`)
    const bytes = await buffer(blob.stream)
    const open = async ({ start, end }: { start: number; end: number }) =>
      pulledFrom(Readable.from([bytes.subarray(start, end)], { objectMode: false }))
    await target.pushBlob(to, name, { sizeBytes: bytes.length, open }, {}, signal)
  }
  await target.putManifest(to, tag, manifest, signal)
}
interface Named {
  readonly digest: string
}
