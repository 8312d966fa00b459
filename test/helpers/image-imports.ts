import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registry } from './registry.ts'

const PATH = '/replication/api/remote/import'

/** Calls of the import API for the repository `demo/images`. */
export function importCalls(on: Pick<Registry, 'call'>, repo = 'images') {
  const json = { 'content-type': 'application/json' }
  const post = (what: string, body: object, query = '', authorization?: string) =>
    on.call('POST', `${PATH}/${what}/demo/${repo}${query}`, {
      ...{ headers: json, body: JSON.stringify(body) },
      ...(authorization === undefined ? {} : { authorization }),
    })
  const calls = {
    create: (body: object, authorization?: string) => post('create', body, '', authorization),
    execute: (name: string, authorization?: string) => post('execute', {}, `?name=${name}`, authorization),
    status: (name: string, authorization?: string) =>
      on.call('GET', `${PATH}/status/demo/${repo}?name=${name}`, authorization === undefined ? {} : { authorization }),
    remove: (name: string) => on.call('DELETE', `${PATH}/delete/demo/${repo}?name=${name}`),
    /** Until it has ended. */
    async ended(name: string) {
      for (let tries = 0; tries < 2_000; tries++) {
        const { json: answer } = await calls.status(name)
        if (answer.data !== null && answer.data.status !== 'RUNNING') return answer.data
        await sleep(20)
      }
      throw new Error(`import ${name} does not end`)
    },
    /** Created, executed and ended. @returns its record. */
    async run(body: { name: string; [field: string]: unknown }) {
      const created = await calls.create(body)
      assert.equal(created.status, 200, created.body.toString())
      const started = await calls.execute(body.name)
      assert.equal(started.status, 200, started.body.toString())
      return { taskKey: created.json.data.taskKey as string, record: await calls.ended(body.name) }
    },
    async details(recordId: string) {
      const { json: answer } = await on.call('GET', `/replication/api/task/record/detail/list/${recordId}`)
      return answer.data as {
        artifactName: string
        version: string
        status: string
        errorReason: string | null
        size: number | null
      }[]
    },
  }
  return calls
}
