import { artifactServices, makeRepository, fileWrite } from './helpers/artifacts.ts'
import { putFiles, lockLive } from '../src/artifacts/node-writer.ts'
import { makeSqlite, makePostgres } from './helpers/databases.ts'
const make = process.argv[2] === 'pg' ? makePostgres : makeSqlite
const db = await make()
const on = artifactServices(db)
const repo = await makeRepository(on)
const N = 20_000
for (const round of ['new', 'same folders', 'overwrite']) {
  const base = round === 'new' ? 'a' : 'b'
  let t = performance.now(), prep = 0
  for (let at = 0; at < N; at += 500) {
    const p = performance.now()
    const writes = Array.from({ length: 500 }, (_, i) => fileWrite(on, `/com/g${(at + i) % 300}/${base}${at + i}.jar`, round))
    prep += performance.now() - p
    await db.transact(async (trx) => {
      const current = await lockLive(trx, repo.id, writes.map((w) => w.path))
      await putFiles(trx, repo, writes, current, on.clock.now())
    })
  }
  console.log(db.dialect, round, N, 'us per file', Math.round((performance.now() - t) * 1000 / N), 'prep', Math.round(prep))
}
await db[Symbol.asyncDispose]()
process.exit(0)
