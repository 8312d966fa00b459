// `npm run conformance:serve`: an empty registry for a run of the public conformance suite against it.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { pino } from 'pino'
import { readInvocation } from '../src/app/config.ts'
import { startServer } from '../src/app/server.ts'
import { tempDir } from '../test/helpers/temp.ts'

const REPOSITORY = 'conformance/images'

await using dir = await tempDir()
const password = randomBytes(12).toString('hex')
const settings = {
  ENTREPOT_PORT: process.env.ENTREPOT_PORT ?? '0',
  ENTREPOT_DATA: dir.file('data'),
  ENTREPOT_ADMIN_PASSWORD: password,
  ...(process.env.ENTREPOT_DATABASE === undefined ? {} : { ENTREPOT_DATABASE: process.env.ENTREPOT_DATABASE }),
}
const invocation = await readInvocation({ args: [], env: settings, cwd: dir.path })
if (invocation.kind !== 'serve') throw new Error('not a configuration of a server')
const stopping = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => once(process, name)))
await using server = await startServer(invocation.config, pino({ level: process.env.ENTREPOT_LOG_LEVEL ?? 'warn' }))

await create('project', { name: 'conformance', displayName: 'conformance', description: '' })
await create('repo', { projectId: 'conformance', name: 'images', type: 'OCI', category: 'LOCAL', public: false })
const environment = {
  OCI_ROOT_URL: server.url,
  OCI_NAMESPACE: `${REPOSITORY}/one`,
  OCI_CROSSMOUNT_NAMESPACE: `${REPOSITORY}/two`,
  OCI_USERNAME: 'admin',
  OCI_PASSWORD: password,
  OCI_TEST_PULL: '1',
  OCI_TEST_PUSH: '1',
  OCI_TEST_CONTENT_DISCOVERY: '1',
  OCI_TEST_CONTENT_MANAGEMENT: '1',
  // A blob that another image of the same repository has is found without a word of where.
  OCI_AUTOMATIC_CROSSMOUNT: '1',
  OCI_DELETE_MANIFEST_BEFORE_BLOBS: '1',
  OCI_HIDE_SKIPPED_WORKFLOWS: '0',
  // The same, as the suite calls it from 2025 on.
  OCI_REGISTRY: new URL(server.url).host,
  OCI_TLS: 'disabled',
  OCI_REPO1: `${REPOSITORY}/one`,
  OCI_REPO2: `${REPOSITORY}/two`,
}
for (const [name, value] of Object.entries(environment)) console.log(`export ${name}=${value}`)
console.log('# serving until SIGINT or SIGTERM; all that was pushed goes with it')
await stopping

async function create(what: 'project' | 'repo', body: object): Promise<void> {
  const answer = await fetch(`${server.url}/repository/api/${what}/create`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`the ${what} was not made: ${await answer.text()}`)
}
