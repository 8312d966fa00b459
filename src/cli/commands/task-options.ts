import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { messageOf } from '../../core/errors.ts'
import { CliFailure, EXIT } from '../cli-failure.ts'
import { type TaskOptions, taskBody } from '../task-body.ts'
import type { Terminal } from '../terminal.ts'
import { wholeNumber } from '../whole-number.ts'

export interface DescribedTask extends TaskOptions {
  readonly file?: string
}

const several = (value: string, all: readonly string[]): string[] => [...all, value]

/** What a task is, in options. */
export function describeTask(command: Command): Command {
  return command
    .option('--from <project/repository>', 'what is copied; may be said again', several, [])
    .option('--to <cluster[:project/repository]>', 'where to; may be said again', several, [])
    .option('--type <type>', 'SCHEDULED (default), REAL_TIME, RUN_ONCE or EDGE_PULL')
    .option('--cron <expression>', 'run again and again: Quartz, or 5 fields of Unix')
    .option('--at <date>', 'run once at this time, e.g. 2026-12-01T02:00:00')
    .option('--path <path>', 'only this file, folder or pattern; may be said again', several, [])
    .option(
      '--package <key[@version,…]>',
      'only this package, e.g. npm://left-pad@1.0.0; may be said again',
      several,
      [],
    )
    .option('--conflict <strategy>', 'SKIP (default), OVERWRITE or FAST_FAIL')
    .option('--error <strategy>', 'CONTINUE (default) or FAST_FAIL')
    .option('--rate <bytes>', 'at most so many bytes a second', wholeNumber)
    .option('--no-metadata', 'leave the metadata of files here')
    .option('--deletes', 'delete at the target what was deleted here')
    .option('--description <text>')
    .option('--off', 'make it switched off')
    .option('--file <file>', 'the whole task as JSON, "-" for standard input; other options are left aside')
}

/** @throws CliFailure. */
export async function bodyOf(name: string | undefined, options: DescribedTask, terminal: Terminal): Promise<object> {
  if (options.file === undefined) {
    if (name === undefined) throw new CliFailure('A task needs a name, or --file', EXIT.usage)
    return taskBody(name, options)
  }
  try {
    const text = options.file === '-' ? await terminal.readInput() : await readFile(options.file, 'utf8')
    return { ...(JSON.parse(text) as object), ...(name === undefined ? {} : { name }) }
  } catch (error) {
    throw new CliFailure(`Cannot read ${options.file}: ${messageOf(error)}`, EXIT.usage)
  }
}
