import { it } from 'node:test'
import { killDuringTreeOperation } from '../helpers/kill-during-tree-operation.ts'
import { eachDialect } from '../helpers/local-cluster.ts'

eachDialect('kill -9 during an operation on a tree', (dialect) => {
  for (const kind of ['copy', 'move', 'delete'] as const) {
    it(`given it dies twice in the middle of a ${kind}, when started again, then the operation ends by itself, complete and counted once`, async (t) => {
      await killDuringTreeOperation(kind, dialect, t.signal)
    })
  }
})
