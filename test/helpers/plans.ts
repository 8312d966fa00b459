import { CompiledQuery } from 'kysely'
import type { Reader } from '../../src/metadata/database.ts'
import { dialectOf } from '../../src/metadata/sql/dialect-of.ts'

/** The same reader, and what it is asked. */
export function watched(reader: Reader) {
  const asked: CompiledQuery[] = []
  const watching = reader.withPlugin({
    transformQuery({ node, queryId }) {
      asked.push(reader.getExecutor().compileQuery(node, queryId))
      return node
    },
    transformResult: async ({ result }) => result,
  })
  return { reader: watching, asked }
}

/** What the database says how it would go about it, a step a line. */
export async function planOf(reader: Reader, { sql, parameters }: CompiledQuery): Promise<string> {
  const explain = dialectOf(reader) === 'sqlite' ? 'explain query plan' : 'explain'
  const { rows } = await reader.executeQuery<Record<string, unknown>>(
    CompiledQuery.raw(`${explain} ${sql}`, [...parameters]),
  )
  return rows.map((row) => String(row.detail ?? row['QUERY PLAN'])).join('\n')
}
