import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import {
  type ArtifactServices,
  artifactServices,
  fileWrite,
  makeRepository,
  path,
} from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { foldAll, liveRowsOf, TINY_BUCKETS } from '../../../test/helpers/fingerprints.ts'
import { lockLive, putFiles } from '../../artifacts/nodes/node-writer.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import { type PathRange, rangeHolds } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import { createFingerprints } from '../../metadata/fingerprints/fingerprints.ts'
import { answerRecon } from './answer.ts'
import { reconcile } from './reconcile.ts'
import { repositoryFingerprints } from './repository-fingerprints.ts'

const FOLDERS = ['', '/a', '/a-b', '/a/b', '/\uffee', '/😀']
const file = fc.tuple(fc.constantFrom(...FOLDERS), fc.nat(40)).map(([folder, n]) => `${folder}/f${n}.txt`)
/** What stands at a path of either side; 0: nothing. */
const tree = fc.uniqueArray(fc.tuple(file, fc.constantFrom([1, 1], [1, 1], [1, 1], [1, 0], [0, 1], [1, 2])), {
  selector: ([at]) => at,
  minLength: 40,
  maxLength: 120,
  size: 'max',
})
const RANGES: readonly PathRange[][] = [
  [{ lo: '', hi: null }],
  [
    { lo: '/a', hi: '/a0' },
    { lo: '/\uffee', hi: null },
  ],
]

async function put(on: ArtifactServices, repository: Repository, files: readonly (readonly [string, number])[]) {
  await on.db.transact(async (trx) => {
    const writes = files.map(([at, content]) => fileWrite(on, at, String(content)))
    const current = await lockLive(
      trx,
      repository.id,
      files.map(([at]) => path(at)),
    )
    await putFiles(trx, repository, writes, current, on.clock.now())
  })
}

eachDatabase('reconciliation of two repositories', (make) => {
  it('given any two trees, folded in part, when reconciled, then exactly the differences of the scope are named', async (t) => {
    await using sourceDb = await make()
    await using targetDb = await make()
    const [source, target] = [artifactServices(sourceDb), artifactServices(targetDb)]
    let runs = 0
    await fc.assert(
      fc.asyncProperty(tree, fc.constantFrom(...RANGES), fc.boolean(), async (stands, scope, isFolded) => {
        const name = `demo/run${runs++}`
        const [ours, theirs] = [await makeRepository(source, name), await makeRepository(target, name)]
        const half = stands.length >> 1
        const sideOf = (side: 0 | 1, some: typeof stands) =>
          some.flatMap(([at, contents]) => (contents[side] === 0 ? [] : [[at, contents[side]!] as const]))
        await put(source, ours, sideOf(0, stands.slice(0, half)))
        await put(target, theirs, sideOf(1, stands.slice(0, half)))
        if (isFolded) for (const db of [sourceDb, targetDb]) await foldAll(db, TINY_BUCKETS)
        await put(source, ours, sideOf(0, stands.slice(half)))
        await put(target, theirs, sideOf(1, stands.slice(half)))

        const there = repositoryFingerprints(createFingerprints(targetDb), theirs.id)
        const local = repositoryFingerprints(createFingerprints(sourceDb), ours.id)
        const ask = (message: Buffer, signal: AbortSignal) => answerRecon(message, there, signal)
        const found = await reconcile({ local, ask, scope, compared: 'content+metadata', ledger: [] }, t.signal)

        const named = (is: (contents: readonly number[]) => boolean) =>
          stands
            .filter(([at, contents]) => is(contents) && scope.some((range) => rangeHolds(range, at)))
            .map(([at]) => at)
            .sort(comparePaths)
        const inRanges = stands.filter(
          ([at, [here]]) => here !== 0 && found.missingRanges.some((range) => rangeHolds(range, at)),
        )
        const missing = [...found.missing, ...inRanges.map(([at]) => at)].sort(comparePaths)
        const differing = found.differing.map((row) => row.path).sort(comparePaths)
        assert.deepEqual(
          missing,
          named(([a, b]) => a === 1 && b === 0),
        )
        assert.deepEqual(
          differing,
          named(([, b]) => b === 2),
        )
        const foreign = [...found.foreign].sort((a, b) => comparePaths(a.path, b.path))
        const expected = named(([a, b]) => a === 0 && b === 1)
        const rows = (await liveRowsOf(targetDb, theirs.id)).filter((row) => expected.includes(row.path))
        assert.deepEqual(foreign, rows)
      }),
      { numRuns: 4 },
    )
  })
})
