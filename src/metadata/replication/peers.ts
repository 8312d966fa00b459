import type { Reader, Transaction } from '../database.ts'

/** `peer.id` of each cluster id, interned on first sight. */
export async function internPeers(trx: Transaction, clusterIds: readonly string[]): Promise<Map<string, number>> {
  const wanted = [...new Set(clusterIds)]
  if (wanted.length === 0) return new Map()
  const known = () => trx.selectFrom('peer').selectAll().where('cluster_id', 'in', wanted).execute()
  let rows = await known()
  if (rows.length < wanted.length) {
    await trx
      .insertInto('peer')
      .values(wanted.map((cluster_id) => ({ cluster_id })))
      .onConflict((oc) => oc.column('cluster_id').doNothing())
      .execute()
    rows = await known()
  }
  return new Map(rows.map((row) => [row.cluster_id, row.id]))
}

/** Cluster id of each `peer.id`. */
export async function listPeers(reader: Reader): Promise<Map<number, string>> {
  const rows = await reader.selectFrom('peer').selectAll().execute()
  return new Map(rows.map((row) => [row.id, row.cluster_id]))
}

/** A link of another cluster that writes here. `linkKey` is the source's, unique there. */
export async function internPeerLink(trx: Transaction, sourceId: string, linkKey: string): Promise<number> {
  const known = await findPeerLink(trx, sourceId, linkKey)
  if (known !== undefined) return known
  await trx
    .insertInto('peer_link')
    .values({ source_id: sourceId, link_key: linkKey })
    .onConflict((oc) => oc.columns(['source_id', 'link_key']).doNothing())
    .execute()
  return (await findPeerLink(trx, sourceId, linkKey))!
}

/** Notes which repository over there a link brings. */
export async function notePeerSource(
  trx: Transaction,
  peerLinkId: number,
  { project, repo }: { readonly project: string; readonly repo: string },
): Promise<void> {
  await trx
    .updateTable('peer_link')
    .set({ project, repo })
    .where('id', '=', peerLinkId)
    .where((eb) => eb.or([eb('project', 'is', null), eb('project', '!=', project), eb('repo', '!=', repo)]))
    .execute()
}

/** What links of other clusters bring here, by `peer_link.id`. Project and repository are null when their source did not say. */
export async function peerSourcesOf(
  reader: Reader,
  ids: readonly number[],
): Promise<Map<number, { readonly clusterId: string; readonly project: string | null; readonly repo: string | null }>> {
  if (ids.length === 0) return new Map()
  const rows = await reader.selectFrom('peer_link').selectAll().where('id', 'in', ids).execute()
  return new Map(rows.map(({ id, source_id, project, repo }) => [id, { clusterId: source_id, project, repo }]))
}

/** `peer_link.id` of the links that bring this repository of another cluster here, whatever they write into. */
export async function peerLinksOf(
  reader: Reader,
  { clusterId, project, repo }: { readonly clusterId: string; readonly project: string; readonly repo: string },
): Promise<Set<number>> {
  const rows = await reader
    .selectFrom('peer_link')
    .select('id')
    .where('source_id', '=', clusterId)
    .where('project', '=', project)
    .where('repo', '=', repo)
    .execute()
  return new Set(rows.map(({ id }) => id))
}

export async function findPeerLink(reader: Reader, sourceId: string, linkKey: string): Promise<number | undefined> {
  const row = await reader
    .selectFrom('peer_link')
    .select('id')
    .where('source_id', '=', sourceId)
    .where('link_key', '=', linkKey)
    .executeTakeFirst()
  return row?.id
}

/**
 * Takes the stream for `fence`. False: a higher fence was here already, so whoever asks is a zombie and must not write.
 * The row stays locked until the transaction ends.
 */
export async function takeStream(
  trx: Transaction,
  peerLinkId: number,
  stream: string,
  fence: number,
  now: number,
): Promise<boolean> {
  const row = await trx
    .insertInto('peer_state')
    .values({ peer_link_id: peerLinkId, stream, fence, at: now })
    .onConflict((oc) =>
      oc.columns(['peer_link_id', 'stream']).doUpdateSet({ fence, at: now }).where('peer_state.fence', '<=', fence),
    )
    .returning('fence')
    .executeTakeFirst()
  return row !== undefined
}

/** The highest fence seen on the stream; 0: none. */
export async function streamFence(reader: Reader, peerLinkId: number, stream: string): Promise<number> {
  const row = await reader
    .selectFrom('peer_state')
    .select('fence')
    .where('peer_link_id', '=', peerLinkId)
    .where('stream', '=', stream)
    .executeTakeFirst()
  return row?.fence ?? 0
}

/** Fences of streams that were last used before `before`: their runs have long ended. */
export async function deleteOldStreams(trx: Transaction, before: number): Promise<void> {
  await trx.deleteFrom('peer_state').where('at', '<', before).execute()
}
