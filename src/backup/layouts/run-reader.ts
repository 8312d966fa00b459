import { relative } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestSeal } from '../manifest/manifest-seal.ts'
import { brokenManifest, MOST_MANIFEST_BYTES, parseManifest } from '../manifest/manifest-text.ts'
import { isRecordShaped, MANIFEST, MANIFEST_SEAL } from '../manifest/run-paths.ts'
import type { BackupReader } from './layout.ts'
import { recordLines } from './record-lines.ts'
import { openContent, readSmallContents, readWhole } from './run-contents.ts'
import type { RunFiles } from './run-files.ts'
import { verifyRun } from './run-verify.ts'

const MOST_SEAL_BYTES = 4_096

/**
 * Opens a run; disposing the reader disposes the files, and so does a refusal.
 * @param takes `legacy`: also one without a manifest, as the reference makes it.
 * @throws AppError ARTIFACT_BROKEN.
 */
export async function openRunReader(
  files: RunFiles,
  takes: 'whole' | 'legacy',
  seal: ManifestSeal,
  random: Pick<Random, 'next'>,
  signal: AbortSignal,
): Promise<BackupReader> {
  try {
    const manifest = await readManifest(files, takes, seal, signal)
    const strays = manifest === undefined ? await misnamedPaths(files, signal) : []
    const paths = manifest === undefined ? await recordPaths(files, signal) : manifest.files.map(({ path }) => path)
    const described = new Map(manifest?.files.map((file) => [file.path, file]))
    const known = new Set(paths)
    return {
      layout: files.layout,
      manifest,
      files: [...paths, ...strays],
      async *records(path, both) {
        if (!known.has(path)) return
        const file = await files.find(path, both)
        if (file === undefined) {
          throw new AppError('ARTIFACT_BROKEN', `Record file ${path} is missing in the backup`, { file: path })
        }
        yield* recordLines(files, file, described.get(path), both)
      },
      readSmall: (blobs, both) => readSmallContents(files, blobs, both),
      open: (blob, both) => openContent(files, blob, both),
      verify: (share, onBytes, both) => verifyRun({ files, manifest, paths, random }, share, onBytes, both),
      [Symbol.asyncDispose]: () => files[Symbol.asyncDispose](),
    }
  } catch (error) {
    await files[Symbol.asyncDispose]()
    throw error
  }
}

async function readManifest(
  files: RunFiles,
  takes: 'whole' | 'legacy',
  seal: ManifestSeal,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  const file = await files.find(MANIFEST, signal)
  if (file === undefined) {
    if (takes === 'legacy') return undefined
    throw new AppError(
      'ARTIFACT_BROKEN',
      `[${files.path}] has no manifest: it is not whole, or no backup. One that the reference made is taken with legacy=true`,
      {},
    )
  }
  if (file.sizeBytes > MOST_MANIFEST_BYTES) throw brokenManifest(`it has ${file.sizeBytes} bytes`)
  const bytes = await readWhole(files, file, signal)
  const sealed = await files.find(MANIFEST_SEAL, signal)
  if (sealed === undefined || sealed.sizeBytes > MOST_SEAL_BYTES) {
    throw brokenManifest(`there is no ${MANIFEST_SEAL} beside it`)
  }
  await seal.check(bytes, (await readWhole(files, sealed, signal)).toString('latin1'), takes)
  return parseManifest(bytes)
}

async function recordPaths(files: RunFiles, signal: AbortSignal): Promise<string[]> {
  const paths: string[] = []
  for await (const { name } of files.list(signal)) if (isRecordShaped(name)) paths.push(name)
  return paths.sort()
}

/** Files and folders whose names no backup has: nobody opens them, but what is left out is told. */
async function misnamedPaths(files: RunFiles, signal: AbortSignal): Promise<string[]> {
  const findings = await files.check('some', () => {}, signal)
  return findings.filter(({ kind }) => kind === 'odd').map(({ object }) => relative(files.path, object))
}
