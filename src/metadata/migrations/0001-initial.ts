import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords, unique } from './table-words.ts'

/** Tables and columns as `metadata/schema.ts` names them. */
export async function createInitialSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, bytes, text, identity, create, columns, audit, key } = tableWords(db, dialect)

  await key(columns(create('setting'), text, 'key value'), 'setting', 'key').execute()

  let table = columns(create('user_account'), text, 'user_id name password_hash email? phone?')
  table = audit(columns(table, int, 'admin locked credential_stamp'))
  await key(table, 'user_account', 'user_id').execute()

  table = columns(create('user_token'), text, 'user_id name')
  table = columns(columns(table, bytes, 'token_hash'), int, 'created_at expires_at?')
  await key(table, 'user_token', 'user_id', 'name').execute()
  await unique(db, 'user_token_hash', 'user_token', ['token_hash'])

  table = audit(columns(create('project'), text, 'name display_name description metadata'))
  await key(table, 'project', 'name').execute()

  table = columns(identity(create('repository')), text, 'project name type category epoch configuration')
  table = columns(columns(table, text, 'description? display_name?'), int, 'public quota? floor_seq deleted_at?')
  await audit(table).execute()
  await sql`create unique index repository_live on repository (project, name) where deleted_at is null`.execute(db)

  table = columns(identity(create('node')), text, 'path parent md5? metadata hlc deleted_by?')
  table = columns(columns(table, bytes, 'sha256?'), int, 'repo_id folder size origin via_link? via_mark?')
  table = columns(table, 'integer', 'c0 c1 c2 c3 m0 m1 m2 m3')
  await audit(columns(table, int, 'expires_at? accessed_at? deleted_at?')).execute()
  await sql`create unique index node_live on node (repo_id, path) where deleted_at is null`.execute(db)
  // Parent first: of two indexes that begin with repo_id PostgreSQL takes the wrong one, as long as it has no statistics. The rest
  // of the path below the parent instead of the path: parent and path together would not fit PostgreSQL's index rows.
  await sql`create index node_children on node (parent, repo_id, substr(path, length(parent) + 1))
    where deleted_at is null`.execute(db)
  await sql`create index node_deleted on node (deleted_at) where deleted_at is not null`.execute(db)
  await sql`create index node_expiry on node (expires_at) where expires_at is not null and deleted_at is null`.execute(
    db,
  )
  await sql`create index node_blob on node (sha256) where sha256 is not null`.execute(db)

  table = columns(columns(create('tombstone'), text, 'path hlc'), int, 'repo_id origin deleted_at')
  await key(table, 'tombstone', 'repo_id', 'path').execute()

  table = columns(columns(identity(create('change_log')), text, 'path'), int, 'repo_id seq? op origin via_link? at dn')
  await columns(table, int, 'd0 d1 d2 d3 e0 e1 e2 e3').execute()
  await sql`create unique index change_seq on change_log (repo_id, seq) where seq is not null`.execute(db)
  if (dialect === 'sqlite') {
    // One writer at a time commits in the order of ids, so the id is the number.
    await sql`create trigger change_number after insert on change_log
      begin update change_log set seq = new.id where id = new.id; end`.execute(db)
  } else {
    await sql`create index change_new on change_log (id) where seq is null`.execute(db)
    await sql`create sequence change_number`.execute(db)
  }
  await sql`create index change_at on change_log (at)`.execute(db)

  table = columns(columns(create('blob'), bytes, 'sha256'), int, 'size created_at touched_at unneeded_since?')
  await key(table, 'blob', 'sha256').execute()
  await sql`create index blob_unneeded on blob (unneeded_since) where unneeded_since is not null`.execute(db)

  table = columns(columns(create('upload'), text, 'upload_id'), bytes, 'sha256')
  await key(columns(table, int, 'size part_size created_at expires_at'), 'upload', 'upload_id').execute()

  table = columns(create('cluster'), text, 'id name type url detect_type status username? password? certificate?')
  table = columns(table, text, 'app_id? access_key? secret_key? error_reason?')
  await key(audit(columns(table, int, 'udp_port? checked_at?')), 'cluster', 'id').execute()
  await unique(db, 'cluster_name', 'cluster', ['name'])

  await columns(identity(create('peer')), text, 'cluster_id').execute()
  await unique(db, 'peer_cluster', 'peer', ['cluster_id'])
  await columns(identity(create('peer_link')), text, 'source_id link_key').execute()
  await unique(db, 'peer_link_key', 'peer_link', ['source_id', 'link_key'])
  table = columns(columns(create('peer_state'), text, 'stream'), int, 'peer_link_id fence at')
  await key(table, 'peer_state', 'peer_link_id', 'stream').execute()

  table = columns(create('replication_task'), text, 'id key name project object_type replica_type setting status')
  table = columns(
    columns(table, text, 'description? last_execution_status?'),
    int,
    'enabled record record_reserve_days',
  )
  table = audit(columns(table, int, 'last_execution_at? next_execution_at? execution_times'))
  await key(table, 'replication_task', 'key').execute()
  await unique(db, 'task_id', 'replication_task', ['id'])
  await unique(db, 'task_name', 'replication_task', ['name'])
  await sql`create index task_project on replication_task (project, created_at)`.execute(db)

  table = columns(create('task_object'), text, 'task_key local_repo remote_project remote_repo repo_type')
  table = columns(columns(table, text, 'package_constraints? path_constraints?'), int, 'ord')
  await key(table, 'task_object', 'task_key', 'ord').execute()
  table = columns(columns(create('task_target'), text, 'task_key cluster_id'), int, 'ord')
  await key(table, 'task_target', 'task_key', 'ord').execute()
  await sql`create index task_target_cluster on task_target (cluster_id)`.execute(db)

  table = columns(identity(create('link')), text, 'key task_key cluster_id remote_project remote_repo scope_hash')
  table = columns(
    columns(table, text, 'repo_epoch? remote_epoch? remote_mark?'),
    int,
    'repo_id acked_seq? remote_seq? scope_files',
  )
  await table.execute()
  await unique(db, 'link_key', 'link', ['key'])
  await sql`create index link_task on link (task_key)`.execute(db)

  table = columns(columns(create('link_divergence'), text, 'path reason'), int, 'link_id since')
  await key(table, 'link_divergence', 'link_id', 'path').execute()

  table = columns(create('execution_record'), text, 'id task_key status object_type replica_type snapshot')
  table = columns(
    columns(table, text, 'error_reason? overview?'),
    int,
    'started_at ended_at? replicated_bytes total_bytes',
  )
  await key(table, 'execution_record', 'id').execute()
  await sql`create index record_task on execution_record (task_key, started_at)`.execute(db)
  await sql`create index record_ended on execution_record (ended_at) where ended_at is not null`.execute(db)
  await sql`create unique index record_running on execution_record (task_key) where status = 'RUNNING'`.execute(db)

  table = columns(create('exec_link'), text, 'record_id cluster_id cluster_name local_repo repo_type state')
  table = columns(table, text, 'mode? remote_epoch? remote_mark? error_reason?')
  table = columns(
    table,
    int,
    'link_id from_seq? to_seq? remote_seq? scope_files planned_files down_since? attempts ended_at?',
  )
  await key(table, 'exec_link', 'record_id', 'link_id').execute()

  table = columns(create('exec_shard'), text, 'record_id lo hi? pos? state owner?')
  table = columns(
    table,
    int,
    'link_id shard_no est_files est_bytes lease_until token ok skipped unchanged failed conflict',
  )
  table = columns(table, int, 'file_ok file_failed bytes in_flight_bytes')
  await key(table, 'exec_shard', 'record_id', 'link_id', 'shard_no').execute()

  table = columns(create('record_detail'), text, 'id record_id path status execute_type package_key? version?')
  table = columns(columns(table, text, 'conflict_strategy? error_reason?'), bytes, 'sha256?')
  table = columns(table, int, 'link_id size? started_at ended_at? attempts')
  await key(table, 'record_detail', 'id').execute()
  await sql`create index detail_record on record_detail (record_id, started_at, id)`.execute(db)
  await sql`create index detail_path on record_detail (record_id, path)`.execute(db)

  table = columns(columns(identity(create('job')), text, 'kind dedupe_key payload owner?'), int, 'due_at again_at?')
  await columns(table, int, 'epoch attempts').execute()
  await unique(db, 'job_dedupe', 'job', ['kind', 'dedupe_key'])
  await sql`create index job_due on job (due_at)`.execute(db)
}
