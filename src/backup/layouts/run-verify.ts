import { mapConcurrent } from '../../core/concurrency.ts'
import { type Digest, parseDigest } from '../../core/digest.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import { shown } from '../../storage/object-name.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { contentAt, contentPath, isRecordPath, MANIFEST, MANIFEST_SEAL } from '../manifest/run-paths.ts'
import { ERRORS, REPOSITORY_FILES } from '../records/record-files.ts'
import { createFindings, type Findings } from './findings.ts'
import type { VerifyReport, VerifyShare } from './layout.ts'
import { recordLines } from './record-lines.ts'
import { digestOfFile } from './run-contents.ts'
import type { RunFile, RunFiles } from './run-files.ts'
import { chosenBy, readsAll } from './verify-share.ts'

const FILES_AT_ONCE = 8

export interface VerifiedRun {
  readonly files: RunFiles
  readonly manifest: Manifest | undefined
  /** Of all record files. */
  readonly paths: readonly string[]
  readonly random: Pick<Random, 'next'>
}

/**
 * Every record file is read, and every content that a node names is there with its size; a share of the contents is hashed. What nobody
 * names is told, but the run is whole all the same.
 */
export async function verifyRun(
  run: VerifiedRun,
  share: VerifyShare,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const { files } = run
  const findings = createFindings()
  for (const { kind, ...finding } of await files.check(readsAll(share) ? 'all' : 'some', onBytes, signal)) {
    findings[kind](finding)
  }
  const needed = await readRecords(run, findings, onBytes, signal)
  const isChosen = chosenBy(share, run.random)
  const verifyContent = async ([digest, sizeBytes]: readonly [Digest, number], both: AbortSignal) => {
    const path = contentPath(digest)
    const wrong = (reason: string) => findings.wrong({ object: path, reason })
    await telling(wrong, async () => {
      const file = await files.find(path, both)
      if (file === undefined) return wrong('it is missing')
      findings.object(file.sizeBytes)
      if (file.sizeBytes !== sizeBytes) return wrong(`it has ${file.sizeBytes} bytes, and should have ${sizeBytes}`)
      if (!isChosen(digest)) return
      const found = await digestOfFile(files, file, onBytes, both)
      if (found !== digest) wrong(`its bytes hash to ${found}`)
    })
  }
  await mapConcurrent([...needed], FILES_AT_ONCE, verifyContent, signal)
  await readNames(run, needed, findings, signal)
  return findings.report
}

/** @returns size of every content that the nodes need. */
async function readRecords(
  { files, manifest, paths }: VerifiedRun,
  findings: Findings,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<Map<Digest, number>> {
  const needed = new Map<Digest, number>()
  const missing = new Set<string>()
  const described = new Map(manifest?.files.map((file) => [file.path, file]))
  // First what says which contents could not be had when the backup was made.
  const inOrder = [...paths].sort((a, b) => Number(b === ERRORS) - Number(a === ERRORS))
  for (const path of inOrder) {
    const wrong = (reason: string) => findings.wrong({ object: path, reason })
    await telling(wrong, async () => {
      const file = await files.find(path, signal)
      if (file === undefined) return wrong('it is missing')
      findings.object(file.sizeBytes)
      onBytes(file.sizeBytes)
      const expected = described.get(path)
      let records = 0
      for await (const line of recordLines(files, file, expected, signal)) {
        records++
        if (path === ERRORS) missing.add(errorPathOf(line))
        if (path.endsWith(`/${REPOSITORY_FILES.node}`)) need(needed, missing, line, wrong)
      }
      if (expected !== undefined && records !== expected.records) {
        wrong(`it has ${records} records, and the manifest says ${expected.records}`)
      }
    })
  }
  return needed
}

function need(
  needed: Map<Digest, number>,
  missing: ReadonlySet<string>,
  line: string,
  wrong: (reason: string) => void,
): void {
  const { folder, sha256, size, projectId, repoName, fullPath } = fieldsOf(line)
  if (folder === true || missing.has(`${projectId}/${repoName}${fullPath}`)) return
  const digest = typeof sha256 === 'string' ? parseDigest(sha256) : undefined
  const name = shown(String(fullPath))
  if (digest === undefined || typeof size !== 'number') wrong(`node [${name}] has no digest, or no size`)
  else if ((needed.get(digest) ?? size) !== size) wrong(`node [${name}] has not the size of its content`)
  else needed.set(digest, size)
}

const errorPathOf = (line: string): string => String(fieldsOf(line).path)

/** None of a line that is no JSON object. */
function fieldsOf(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** Counts the contents that are there, and names what nobody knows of. */
async function readNames(
  { files, manifest, paths }: VerifiedRun,
  needed: ReadonlyMap<Digest, number>,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const known = new Set([...paths, MANIFEST, MANIFEST_SEAL])
  const contents = { count: 0, bytes: 0 }
  for await (const file of files.list(signal)) {
    const digest = contentAt(file.name)
    if (digest !== undefined) {
      contents.count++
      contents.bytes += file.sizeBytes
      if (!needed.has(digest)) findings.odd({ object: file.name, reason: 'no node of the run has this content' })
    } else if (!known.has(file.name)) findings.odd({ object: file.name, reason: oddityOf(file) })
  }
  if (manifest === undefined) return
  const { blobCount, blobBytes } = manifest
  if (contents.count < blobCount || contents.bytes < blobBytes) {
    const reason = `${contents.count} contents of ${contents.bytes} bytes are there, and the manifest says ${blobCount} of ${blobBytes}`
    findings.wrong({ object: files.path, reason })
  }
}

const oddityOf = ({ name }: RunFile): string =>
  isRecordPath(name) ? 'the manifest does not know this record file' : 'it is no part of a backup'

/** What is damaged or gone is a finding; everything else ends the verification. */
async function telling(wrong: (reason: string) => void, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN')) throw error
    wrong(messageOf(error))
  }
}
