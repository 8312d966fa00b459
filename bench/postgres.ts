import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { findPostgres, startPostgres } from '../test/helpers/postgres-server.ts'

export type Dialect = 'sqlite' | 'postgres'

/** As an installation has it; the tests' own server forgets everything. */
const DURABLE = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on', shared_buffers: '256MB' }

/** PostgreSQL runs where `ENTREPOT_BENCH_POSTGRES` names an empty database of a superuser, or npm brought one. */
export const canRun = (dialect: Dialect): boolean =>
  dialect === 'sqlite' || process.env.ENTREPOT_BENCH_POSTGRES !== undefined || !('missing' in findPostgres())

/** Settings of servers, each with an empty database of its own; stopped and dropped with the stack. */
export async function databasesFor(
  dialect: Dialect,
  servers: number,
  stack: AsyncDisposableStack,
): Promise<Readonly<Record<string, string>>[]> {
  if (dialect === 'sqlite') return Array.from({ length: servers }, () => ({}))
  const url = await serverUrl(stack)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  stack.defer(() => client.end())
  const environments: Record<string, string>[] = []
  for (let n = 0; n < servers; n++) {
    const name = `bench_${randomBytes(6).toString('hex')}`
    await client.query(`create database ${name}`)
    stack.defer(async () => void (await client.query(`drop database if exists ${name} with (force)`)))
    const own = new URL(url)
    own.pathname = `/${name}`
    environments.push({ ENTREPOT_DATABASE: own.href })
  }
  return environments
}

async function serverUrl(stack: AsyncDisposableStack): Promise<string> {
  const given = process.env.ENTREPOT_BENCH_POSTGRES
  if (given !== undefined) return given
  const server = await startPostgres(DURABLE)
  stack.defer(() => server.stop())
  return server.url
}
