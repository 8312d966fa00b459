import type { Command } from 'commander'
import { CliFailure, EXIT } from '../cli-failure.ts'
import type { CommandContext } from '../command-context.ts'
import { bytesText, table } from '../terminal.ts'
import { wholeNumber } from '../whole-number.ts'

interface SearchOptions {
  readonly repo?: string
  readonly name?: string
  readonly path?: string
  readonly sha256?: string
  readonly metadata?: readonly string[]
  readonly larger?: number
  readonly after?: string
  readonly rule?: string
  readonly page: number
  readonly pageSize: number
}
interface Rule {
  readonly field: string
  readonly value: unknown
  readonly operation: string
}
interface Found {
  readonly totalRecords: number
  readonly records: readonly { repoName: string; fullPath: string; size: number; lastModifiedDate: string }[]
}

const SELECT = ['projectId', 'repoName', 'fullPath', 'folder', 'size', 'sha256', 'lastModifiedDate', 'metadata']

/** `entrepot search project …`. */
export function searchCommand(program: Command, context: CommandContext): void {
  program
    .command('search <project>')
    .description('find files by what is known of them')
    .option('--repo <name>', 'only in this repository')
    .option('--name <pattern>', 'file name; * stands for anything')
    .option('--path <folder>', 'below this folder')
    .option('--sha256 <digest>', 'with this content')
    .option(
      '-m, --metadata <key=value>',
      'with this metadata; may be said again',
      (pair: string, all: string[]) => [...all, pair],
      [],
    )
    .option('--larger <bytes>', 'larger than so many bytes', wholeNumber)
    .option('--after <date>', 'modified after, e.g. 2026-01-31T00:00:00')
    .option('--rule <json>', 'one more rule of the search language (docs/search.md)')
    .option('--page <number>', 'which page', wholeNumber, 1)
    .option('--page-size <number>', 'results of a page', wholeNumber, 100)
    .action(async (project: string, options: SearchOptions, command: Command) => {
      const server = await context.server(command)
      const rules = [{ field: 'projectId', value: project, operation: 'EQ' }, ...rulesOf(options)]
      const found = await server.call<Found>('POST', '/repository/api/node/search', {
        select: SELECT,
        page: { pageNumber: options.page, pageSize: options.pageSize },
        rule: { relation: 'AND', rules },
      })
      const terminal = context.terminal(command)
      terminal.show(found, ({ records }) =>
        table(
          ['modified', 'size', 'repository', 'path'],
          records.map((node) => [node.lastModifiedDate, bytesText(node.size), node.repoName, node.fullPath]),
        ),
      )
      terminal.note(`${found.records.length} of ${found.totalRecords}`)
    })
}

function rulesOf({ repo, name, path, sha256, metadata = [], larger, after, rule }: SearchOptions): unknown[] {
  const rules: Rule[] = [{ field: 'folder', value: false, operation: 'EQ' }]
  const add = (field: string, value: unknown, operation = 'EQ') => rules.push({ field, value, operation })
  if (repo !== undefined) add('repoName', repo)
  if (name !== undefined) add('name', name, name.includes('*') ? 'MATCH' : 'EQ')
  if (path !== undefined) add('path', `/${path.replace(/^\/+|\/+$/g, '')}/`.replace('//', '/'), 'PREFIX')
  if (sha256 !== undefined) add('sha256', sha256.toLowerCase())
  if (larger !== undefined) add('size', larger, 'GT')
  if (after !== undefined) add('lastModifiedDate', after, 'AFTER')
  for (const pair of metadata) {
    const at = pair.indexOf('=')
    if (at < 1) throw new CliFailure(`"${pair}" is no metadata: write key=value`, EXIT.usage)
    add(`metadata.${pair.slice(0, at)}`, pair.slice(at + 1))
  }
  return rule === undefined ? rules : [...rules, parsedRule(rule)]
}

function parsedRule(rule: string): unknown {
  try {
    return JSON.parse(rule)
  } catch {
    throw new CliFailure('--rule is no JSON, such as {"field":"size","value":0,"operation":"GT"}', EXIT.usage)
  }
}
