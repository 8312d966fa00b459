import type { ExecLink } from '../metadata/replication/exec-links.ts'
import type { LinkFailure } from '../metadata/replication/record-details.ts'

/** `cluster: first error (+n more)`, one line per link that did not bring everything over; the same is said once (replication.md 3.4). */
export function failureLines(
  links: readonly Pick<ExecLink, 'link_id' | 'cluster_name' | 'error_reason'>[],
  failures: ReadonlyMap<number, LinkFailure>,
): string[] {
  return [...new Set(links.flatMap((link) => lineOf(link, failures.get(link.link_id))))]
}

function lineOf(
  { cluster_name, error_reason }: Pick<ExecLink, 'cluster_name' | 'error_reason'>,
  failure: LinkFailure | undefined,
): string[] {
  if (error_reason === null && failure === undefined) return []
  // What stopped the link may be one of the failed artifacts, or something beside them.
  const others = (failure?.count ?? 0) - (error_reason === null || error_reason === failure?.reason ? 1 : 0)
  const more = others > 0 ? ` (+${others} more)` : ''
  return [`${cluster_name}: ${error_reason ?? failure?.reason}${more}`]
}
