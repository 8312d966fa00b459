import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { httpStatusOf, WIRE } from './envelope.ts'

describe('error table', () => {
  it('given docs/errors.md, when its table is read, then it lists the same codes, numbers and statuses', async () => {
    const text = await readFile(join(import.meta.dirname, '../../docs/errors.md'), 'utf8')
    const rows = [...text.matchAll(/^\| `(\w+)` \| (\d{6}) \| (\d{3})\b[^|]* \| .+ \| .+ \|$/gm)]
    const documented = rows.map(([, code, number, status]) => [code, Number(number), Number(status)])
    const known = Object.entries(WIRE).map(([code, [number, status]]) => [code, number, status])
    assert.deepEqual(documented.sort(), known.sort())
  })

  it('given the table, when its numbers are read, then each is 25, a module and a number, with a status of failure', () => {
    for (const [number, status] of Object.values(WIRE)) {
      assert.ok(number > 250_000 && number < 252_000)
      assert.ok(status >= 400 && status < 600)
    }
  })

  it('given a path that only begins like an area, when its status is asked, then it is the general one', async () => {
    const { AppError } = await import('../core/errors.ts')
    const existed = new AppError('REPOSITORY_EXISTED', 'x')
    assert.equal(httpStatusOf(existed, '/replicationx/y'), 400)
    assert.equal(httpStatusOf(existed, '/generic/p/replication/'), 400)
  })
})
