import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/**
 * Indexes that searches read in their order, and the metadata of nodes as rows of its own. Triggers keep those, so that every
 * statement that writes nodes does, and a node without metadata costs nothing.
 */
export async function createSearchSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  // Equals are ordered by id. SQLite's index entries end with it anyway.
  const id = dialect === 'sqlite' ? sql`` : sql`, id`
  await sql`create index node_name on node (repo_id, ltrim(substr(path, length(parent) + 1), '/')${id})
    where deleted_at is null`.execute(db)
  await sql`create index node_size on node (repo_id, size${id}) where deleted_at is null`.execute(db)
  await sql`create index node_modified on node (repo_id, modified_at${id}) where deleted_at is null`.execute(db)

  const real = dialect === 'sqlite' ? sql`real` : sql`double precision`
  const table = columns(
    columns(columns(create('node_metadata'), int, 'node_id repo_id'), text, 'key kind text'),
    real,
    'number?',
  )
  await key(
    dialect === 'sqlite' ? table.modifyEnd(sql`without rowid`) : table,
    'node_metadata',
    'node_id',
    'key',
  ).execute()
  // Only the beginning: a row of PostgreSQL's B-tree takes 2,704 bytes, a value may have 64 KiB.
  await sql`create index node_metadata_value on node_metadata (repo_id, key, substr(text, 1, 200), node_id)`.execute(db)
  await (dialect === 'sqlite' ? keepMetadataSqlite(db) : keepMetadataPostgres(db))
}

/** `kind`: `s` a string, in `text` as it is; `n` a number, `o` anything else: `text` is its JSON. */
async function keepMetadataSqlite(db: Kysely<unknown>): Promise<void> {
  const entriesOf = (row: string) => `insert into node_metadata (node_id, repo_id, key, kind, text, number)
    select ${row}.id, ${row}.repo_id, entry.value ->> '$.key',
      case json_type(entry.value, '$.value') when 'text' then 's' when 'integer' then 'n' when 'real' then 'n' else 'o' end,
      case json_type(entry.value, '$.value') when 'text' then entry.value ->> '$.value' else entry.value -> '$.value' end,
      case when json_type(entry.value, '$.value') in ('integer', 'real') then entry.value ->> '$.value' end
    from json_each(${row}.metadata) as entry where json_type(entry.value, '$.value') is not null on conflict do nothing`
  await sql`create trigger node_metadata_insert after insert on node when new.metadata <> '[]'
    begin ${sql.raw(entriesOf('new'))}; end`.execute(db)
  await sql`create trigger node_metadata_update after update of metadata, repo_id on node
    when new.metadata <> old.metadata or new.repo_id <> old.repo_id
    begin delete from node_metadata where node_id = old.id; ${sql.raw(entriesOf('new'))}; end`.execute(db)
  await sql`create trigger node_metadata_delete after delete on node when old.metadata <> '[]'
    begin delete from node_metadata where node_id = old.id; end`.execute(db)
  await sql`${sql.raw(entriesOf('node').replace('from json_each', 'from node, json_each'))}`.execute(db)
}

async function keepMetadataPostgres(db: Kysely<unknown>): Promise<void> {
  // PostgreSQL's text takes neither NUL nor half a surrogate pair: here they are U+FFFD.
  const storable = (row: string) =>
    String.raw`regexp_replace(${row}.metadata, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::json`
  const entriesOf = (row: string) => `insert into node_metadata (node_id, repo_id, key, kind, text, number)
    select ${row}.id, ${row}.repo_id, entry ->> 'key',
      case json_typeof(entry -> 'value') when 'string' then 's' when 'number' then 'n' else 'o' end,
      case json_typeof(entry -> 'value') when 'string' then entry ->> 'value' else (entry -> 'value')::text end,
      case json_typeof(entry -> 'value') when 'number' then (entry ->> 'value')::double precision end
    from json_array_elements(${storable(row)}) as entry where entry -> 'value' is not null on conflict do nothing`
  await sql`create function node_metadata_changed() returns trigger language plpgsql as ${sql.lit(`begin
    if tg_op <> 'INSERT' then delete from node_metadata where node_id = old.id; end if;
    if tg_op <> 'DELETE' then ${entriesOf('new')}; end if;
    return null; end`)}`.execute(db)
  await sql`create trigger node_metadata_insert after insert on node for each row when (new.metadata <> '[]')
    execute function node_metadata_changed()`.execute(db)
  await sql`create trigger node_metadata_update after update of metadata, repo_id on node for each row
    when (new.metadata <> old.metadata or new.repo_id <> old.repo_id) execute function node_metadata_changed()`.execute(
    db,
  )
  await sql`create trigger node_metadata_delete after delete on node for each row when (old.metadata <> '[]')
    execute function node_metadata_changed()`.execute(db)
  await sql.raw(entriesOf('node').replace('from json_array_elements', 'from node, json_array_elements')).execute(db)
}
