import type { Page } from './task-names.ts'
import { bytesText, table } from './terminal.ts'

interface Place {
  readonly clusterName: string
  readonly localProjectId: string
  readonly localRepoName: string
  readonly remoteProjectId: string
  readonly remoteRepoName: string
  readonly errorReason: string | null
  readonly counts: Readonly<Record<string, number>>
}
interface Item {
  readonly class: string
  readonly path: string
  readonly size: number | null
  readonly reason: string | null
  readonly clusterName: string
  readonly localRepoName: string
}

/** What a run would do, as the server shows it. */
export interface PlanInfo {
  readonly total: { readonly counts: Readonly<Record<string, number>>; readonly bytes: number }
  readonly estimate: { readonly seconds: number | null; readonly basis: string }
  readonly links: readonly (Place & { readonly creates: string; readonly bytes: number; readonly stopped: boolean })[]
  readonly unlisted: number
  readonly items: Page<Item>
}
/** Whether both sides are equal, as the server shows it. */
export interface ProofInfo {
  readonly equal: boolean
  readonly expected: boolean
  readonly links: readonly (Place & { readonly equal: boolean; readonly files: number })[]
  readonly unlisted: number
  readonly items: Page<Item>
}

function noteOf({ creates, stopped }: PlanInfo['links'][number]): string {
  const made = creates === 'nothing' ? [] : [`makes ${creates}`]
  return [...made, ...(stopped ? ['stops at the first failure'] : [])].join(', ')
}

export function planLines({ total, estimate, links, unlisted, items }: PlanInfo): string[] {
  const rows = links.map((link) => [
    ...placeOf(link),
    countsText(link.counts),
    bytesText(link.bytes),
    link.errorReason ?? noteOf(link),
  ])
  return [
    ...table(['from', 'to', 'artifacts', 'to send', 'note'], rows),
    '',
    `In all: ${countsText(total.counts)}; ${bytesText(total.bytes)} to send${secondsText(estimate.seconds)}`,
    ...itemLines(items, unlisted),
  ]
}

/** What could not be found out, a line for each target; such an answer says nothing of what is there. */
export const unknownOf = ({ links }: PlanInfo | ProofInfo): string[] =>
  links.flatMap(({ clusterName, errorReason }) => (errorReason === null ? [] : [`${clusterName}: ${errorReason}`]))

/** In anything but what SKIP kept there: what failed is not at the target either. */
export const differs = ({ expected, links }: ProofInfo): boolean =>
  !expected || links.some(({ counts }) => (counts.failed ?? 0) > 0)

export function proofLines(proof: ProofInfo): string[] {
  const { links, unlisted, items } = proof
  const rows = links.map((link) => [
    ...placeOf(link),
    String(link.files),
    link.equal ? 'equal' : countsText(link.counts),
    link.errorReason ?? '',
  ])
  const verdict = verdictOn(proof)
  return [...table(['from', 'to', 'files', 'differences', 'note'], rows), '', verdict, ...itemLines(items, unlisted)]
}

function verdictOn(proof: ProofInfo): string {
  if (proof.equal) return 'Both sides are equal'
  if (unknownOf(proof).length > 0) return 'It is not known whether both sides are equal'
  return differs(proof) ? 'The sides differ' : 'Both sides are equal but for what was kept there'
}

const placeOf = (link: Place): string[] => [
  `${link.localProjectId}/${link.localRepoName}`,
  `${link.clusterName}:${link.remoteProjectId}/${link.remoteRepoName}`,
]

/** `3 send, 1 skip`. */
function countsText(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0)
  return parts.length === 0 ? 'none' : parts.map(([name, count]) => `${count} ${name}`).join(', ')
}

const secondsText = (seconds: number | null): string => (seconds === null ? '' : `, about ${seconds} s`)

function itemLines({ records, totalRecords }: Page<Item>, unlisted: number): string[] {
  if (records.length === 0) return []
  const lines = table(
    ['what', 'artifact', 'target', 'size', 'why'],
    records.map((one) => [
      one.class.toLowerCase(),
      `${one.localRepoName}${one.path}`,
      one.clusterName,
      one.size === null ? '' : bytesText(one.size),
      one.reason ?? '',
    ]),
  )
  const more = totalRecords - records.length + unlisted
  return ['', ...lines, ...(more > 0 ? [`and ${more} more`] : [])]
}
