import type { Command } from 'commander'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { repositoryName } from '../remote-path.ts'
import type { ServerApi } from '../server-api.ts'
import { table } from '../terminal.ts'
import { type ProgressBar, progressBar } from '../transfer-progress.ts'

interface State {
  readonly rows: number
  readonly complete: boolean
}
interface WrongRange {
  readonly from: string
  readonly to: string | null
  readonly keptRows: number
  readonly foundRows: number
}
interface Slice {
  readonly rows: number
  readonly wrong: readonly WrongRange[]
  readonly next: string | null
}
interface Checked {
  readonly repository: string
  readonly rows: number
  readonly complete: boolean
  readonly wrong: readonly WrongRange[]
}

const PATH = '/repository/api/fingerprints'
const POLL_MS = 200
const urlOf = (call: string, name: string) => {
  const { project, repo } = repositoryName(name)
  return `${PATH}/${call}/${encodeURIComponent(project)}/${encodeURIComponent(repo)}`
}

/** `entrepot fingerprint check`. */
export function fingerprintCommands(program: Command, { clock, signal, ...context }: CommandContext): void {
  const fingerprint = program.command('fingerprint').description('the sums that replication compares')

  fingerprint
    .command('check [repository]')
    .description('compare the sums of a repository, or of all, with what is there')
    .option('--rebuild', 'build them anew before')
    .action(async (named: string | undefined, { rebuild }: { rebuild?: boolean }, command: Command) => {
      const server = await context.server(command)
      const terminal = context.terminal(command)
      const names = named === undefined ? await server.call<string[]>('GET', `${PATH}/list`) : [named]
      const checked: Checked[] = []
      for (const name of names) {
        if (rebuild === true) {
          await server.call('POST', urlOf('rebuild', name))
          await untilBuilt(server, name)
        }
        const { rows, complete } = await server.call<State>('GET', urlOf('info', name))
        const bar = progressBar(terminal, name, rows, 'files')
        try {
          checked.push({ repository: name, complete, ...(await checkAll(server, name, bar)) })
        } finally {
          bar.end()
        }
      }
      terminal.show(checked, linesOf)
      if (checked.some(({ wrong }) => wrong.length > 0)) {
        throw new CliFailure('Some sums are wrong: run it again with --rebuild, and tell us', EXIT.failed)
      }
    })

  async function untilBuilt(server: ServerApi, name: string): Promise<void> {
    while (!(await server.call<State>('GET', urlOf('info', name))).complete) await clock.sleep(POLL_MS, signal)
  }
}

async function checkAll(server: ServerApi, name: string, bar: ProgressBar): Promise<Pick<Checked, 'rows' | 'wrong'>> {
  const wrong: WrongRange[] = []
  let rows = 0
  for (let from: string | null = ''; from !== null; ) {
    const slice: Slice = await server.call('POST', `${urlOf('check', name)}?from=${encodeURIComponent(from)}`)
    bar.advance(slice.rows)
    rows += slice.rows
    wrong.push(...slice.wrong)
    from = slice.next
  }
  return { rows, wrong }
}

function linesOf(checked: readonly Checked[]): string[] {
  const all = checked.map(({ repository, rows, complete, wrong }) => {
    const verdict =
      wrong.length > 0 ? `${wrong.length} ranges are wrong` : complete ? 'right' : 'right, not all are built'
    return [repository, String(rows), verdict]
  })
  const ranges = checked.flatMap(({ repository, wrong }) =>
    wrong.map(({ from, to, keptRows, foundRows }) => [
      repository,
      printable(from),
      printable(to ?? 'the end'),
      `${keptRows} counted, ${foundRows} there`,
    ]),
  )
  const lines = table(['repository', 'rows', 'sums'], all)
  return ranges.length === 0 ? lines : [...lines, '', ...table(['repository', 'from', 'to', 'rows'], ranges)]
}

/** Packages and versions have control characters in their place among paths. */
const printable = (path: string): string => path.replaceAll('\u0001', '␁')
