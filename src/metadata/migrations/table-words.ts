import { type ColumnDataType, type CreateTableBuilder, type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'

export type Table = CreateTableBuilder<string, string>
type ColumnType = ColumnDataType | ReturnType<typeof sql>

/** How migrations make tables on either dialect. In a list of columns, `?` at the end of a name allows null. */
export interface TableWords {
  /** 64-bit integer. */
  readonly int: ColumnDataType
  readonly bytes: ColumnDataType
  /** Text compared as bytes. */
  readonly text: ReturnType<typeof sql>
  create(name: string): Table
  /** Adds `id`, numbered by the database. */
  identity(table: Table): Table
  columns(table: Table, type: ColumnType, names: string): Table
  /** Adds who and when, created and modified. */
  audit(table: Table): Table
  key(table: Table, name: string, ...names: string[]): Table
}

export function tableWords(db: Kysely<unknown>, dialect: Dialect): TableWords {
  const isSqlite = dialect === 'sqlite'
  const int: ColumnDataType = isSqlite ? 'integer' : 'bigint'
  const text = isSqlite ? sql`text` : sql`text collate "C"`
  const columns: TableWords['columns'] = (table, type, names) =>
    names
      .split(' ')
      .reduce(
        (so, name) =>
          so.addColumn(name.replace('?', ''), type as ColumnDataType, (c) => (name.endsWith('?') ? c : c.notNull())),
        table,
      )
  return {
    int,
    bytes: isSqlite ? 'blob' : 'bytea',
    text,
    create: (name) => db.schema.createTable(name) as unknown as Table,
    identity: (table) =>
      isSqlite
        ? table.addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
        : table.addColumn('id', 'bigint', (column) => column.primaryKey().generatedByDefaultAsIdentity()),
    columns,
    audit: (table) => columns(columns(table, text, 'created_by modified_by'), int, 'created_at modified_at'),
    key: (table, name, ...names) => table.addPrimaryKeyConstraint(`${name}_pk`, names as never) as Table,
  }
}

export async function unique(db: Kysely<unknown>, name: string, table: string, names: string[]): Promise<void> {
  await db.schema.createIndex(name).unique().on(table).columns(names).execute()
}
