import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { eachDialect } from '../helpers/local-cluster.ts'
import { addUser, basic, digestOf, type Registry, startRegistry } from '../helpers/registry.ts'

const SCOPE = 'repository:demo/images/nginx:pull'
const tokenUrl = (...scopes: readonly string[]): string =>
  `/v2/auth?service=entrepot${scopes.map((scope) => `&scope=${encodeURIComponent(scope)}`).join('')}`
const form = (fields: Record<string, string>) => ({
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(fields).toString(),
  authorization: '',
})

eachDialect('who may use the registry', (dialect) => {
  let on: Registry
  let reader = ''
  let writer = ''
  before(async () => {
    on = await startRegistry(dialect)
    reader = await addUser(on, 'reader', 'images', ['READ'])
    writer = await addUser(on, 'writer', 'images', ['READ', 'WRITE'], ['/team'])
  })
  after(() => on[Symbol.asyncDispose]())

  const tokenFor = async (authorization: string, ...scopes: readonly string[]) =>
    (await on.call('GET', tokenUrl(...scopes), { authorization })).json.token as string
  const bearer = async (authorization: string, ...scopes: readonly string[]) =>
    `Bearer ${await tokenFor(authorization, ...scopes)}`

  it('given nobody, when the registry is asked for, then a challenge says where to get a token', async () => {
    const { status, headers, code } = await on.call('GET', '/v2/', { authorization: '' })
    assert.deepEqual([status, code], [401, 'UNAUTHORIZED'])
    assert.equal(headers.get('www-authenticate'), `Bearer realm="${on.server.url}/v2/auth",service="entrepot"`)
    assert.equal(headers.get('docker-distribution-api-version'), 'registry/2.0')
  })

  for (const target of ['/v2/', '/v2']) {
    it(`given a login, when ${target} is asked for, then it is a registry`, async () => {
      for (const authorization of [basic('admin'), await bearer(basic('admin')), await bearer('')]) {
        const { status, headers } = await on.call('GET', target, { authorization })
        assert.deepEqual([status, headers.get('docker-distribution-api-version')], [200, 'registry/2.0'])
      }
    })
  }

  it('given a wrong password, when a token is asked for, then it is refused', async () => {
    const { status, code } = await on.call('GET', tokenUrl(), { authorization: basic('admin', 'wrong') })
    assert.deepEqual([status, code], [401, 'UNAUTHORIZED'])
  })

  it('given nobody, when an image of a private repository is asked for, then the challenge has the scope', async () => {
    const asked = async (method: string, target: string) =>
      (await on.call(method, target, { authorization: '' })).headers.get('www-authenticate')?.split('scope=')[1]
    assert.equal(await asked('GET', '/v2/demo/images/a/b/manifests/1.0'), '"repository:demo/images/a/b:pull"')
    assert.equal(await asked('POST', '/v2/demo/images/a/blobs/uploads/'), '"repository:demo/images/a:pull,push"')
    assert.equal(await asked('DELETE', '/v2/demo/images/a/manifests/1.0'), '"repository:demo/images/a:delete"')
    assert.equal(await asked('GET', '/v2/_catalog'), '"registry:catalog:*"')
  })

  it('given a user, when a token is asked for, then it holds what was asked and the user may', async () => {
    const ask = async (authorization: string, ...scopes: readonly string[]) =>
      (await on.call('GET', tokenUrl(...scopes), { authorization })).json
    const answer = await ask(reader, 'repository:demo/images/nginx:pull,push')
    assert.equal(answer.scope, SCOPE)
    assert.equal(answer.token, answer.access_token)
    assert.ok(answer.expires_in >= 60)
    assert.match(answer.issued_at, /^\d{4}-\d\d-\d\dT.*Z$/)
    assert.equal((await ask(reader, 'repository:demo/images/nginx:push')).scope, '')
    assert.equal(
      (await ask(writer, 'repository:demo/images/team/a:push repository:demo/images/b:push')).scope,
      'repository:demo/images/team/a:push',
    )
    assert.equal(
      (await ask(basic('admin'), 'repository:demo/images/b:*')).scope,
      'repository:demo/images/b:pull,push,delete',
    )
    assert.equal((await ask('', SCOPE, 'repository:demo/others/x:pull,push')).scope, 'repository:demo/others/x:pull')
  })

  it('given a token for less, when more is asked for, then the challenge says which scope is needed', async () => {
    const authorization = await bearer(basic('admin'), SCOPE)
    const { status, code, headers } = await on.call('POST', '/v2/demo/images/nginx/blobs/uploads/', { authorization })
    assert.deepEqual([status, code], [401, 'UNAUTHORIZED'])
    const challenge = headers.get('www-authenticate') ?? ''
    assert.match(challenge, /scope="repository:demo\/images\/nginx:pull,push"/)
    assert.match(challenge, /error="insufficient_scope"/)
  })

  it('given a token for one image, when another is asked for, then it does not reach', async () => {
    const authorization = await bearer(basic('admin'), SCOPE)
    const { status } = await on.call('GET', '/v2/demo/images/nginx2/tags/list', { authorization })
    assert.equal(status, 401)
  })

  it('given a mount, when its token does not reach the source, then the challenge asks for both, and the blob is mounted with that', async () => {
    const bytes = Buffer.from('mounted with a token')
    await on.pushBlob('demo/others/source', bytes)
    const target = `/v2/demo/images/team/m/blobs/uploads/?mount=${digestOf(bytes)}&from=demo/others/source`
    const mount = (authorization: string) => on.call('POST', target, { authorization })
    const [own, both] = [
      'repository:demo/images/team/m:pull,push',
      'repository:demo/images/team/m:pull,push repository:demo/others/source:pull',
    ]
    for (const authorization of ['', await bearer(basic('admin'), own)]) {
      const { status, headers } = await mount(authorization)
      const error = authorization === '' ? '' : ',error="insufficient_scope"'
      assert.equal(status, 401)
      assert.equal(headers.get('www-authenticate')?.split('scope=')[1], `"${both}"${error}`)
    }
    assert.equal((await mount(await bearer(basic('admin'), both))).status, 201)
  })

  it('given a mount whose source its user may not read, when asked for with any token, then an upload begins', async () => {
    const bytes = Buffer.from('not theirs to mount')
    await on.pushBlob('demo/images/secret', bytes)
    const scopes = ['repository:demo/images/team/m:pull,push', 'repository:demo/images/secret:pull']
    for (const authorization of [await bearer(writer, ...scopes), await bearer(writer, scopes[0]!), writer]) {
      for (const from of ['demo/images/secret', 'demo/nothing/there', 'demo/images/"x']) {
        const query = `mount=${digestOf(bytes)}&from=${encodeURIComponent(from)}`
        const { status } = await on.call('POST', `/v2/demo/images/team/m/blobs/uploads/?${query}`, { authorization })
        assert.equal(status, 202)
      }
    }
  })

  it('given a mount that names no source, when a repository that the caller may read has the blob, then it is mounted from there', async () => {
    const [open, hidden] = [Buffer.from('open to all'), Buffer.from('hidden from most')]
    await on.pushBlob('demo/others/has-it', open)
    await on.pushBlob('demo/images/secret', hidden)
    const scope = 'repository:demo/images/team/m:pull,push'
    const mount = async (bytes: Buffer, authorization: string) => {
      const query = `mount=${digestOf(bytes)}`
      return (await on.call('POST', `/v2/demo/images/team/m/blobs/uploads/?${query}`, { authorization })).status
    }
    assert.equal(await mount(open, await bearer(writer, scope)), 202, 'the token does not reach it')
    assert.equal(await mount(open, await bearer(writer, scope, 'repository:demo/others/has-it:pull')), 201)
    assert.equal(await mount(hidden, writer), 202)
    assert.equal(await mount(Buffer.from('nowhere'), writer), 202)
    assert.equal(await mount(hidden, basic('admin')), 201)
    assert.equal((await on.call('DELETE', `/v2/demo/images/team/m/blobs/${digestOf(open)}`)).status, 202)
    assert.equal(await mount(open, writer), 201)
  })

  it('given a user without the right, when an image is pushed with the password, then it is denied', async () => {
    const { status, code } = await on.call('POST', '/v2/demo/images/nginx/blobs/uploads/', { authorization: reader })
    assert.deepEqual([status, code], [403, 'DENIED'])
  })

  it('given a token that is none, when it is used, then a new one is asked for', async () => {
    const { status, headers } = await on.call('GET', '/v2/', { authorization: 'Bearer a.b.c' })
    assert.equal(status, 401)
    assert.match(headers.get('www-authenticate') ?? '', /error="invalid_token"/)
  })

  it('given a password in a form, when a token is asked for, then it comes with a refresh token that gets others', async () => {
    const login = { username: 'reader', password: 'correct-horse-battery-reader', service: 'entrepot', scope: SCOPE }
    const first = await on.call('POST', '/v2/auth', form({ ...login, grant_type: 'password', access_type: 'offline' }))
    assert.equal(first.json.scope, SCOPE)
    const refresh = { grant_type: 'refresh_token', refresh_token: first.json.refresh_token, service: 'entrepot' }
    const second = await on.call('POST', '/v2/auth', form({ ...refresh, scope: SCOPE }))
    assert.deepEqual([second.status, second.json.scope], [200, SCOPE])
    assert.equal((await on.call('GET', '/v2/', { authorization: `Bearer ${second.json.token}` })).status, 200)
    const asLogin = await on.call('GET', '/v2/', { authorization: `Bearer ${refresh.refresh_token}` })
    assert.equal(asLogin.status, 401, 'a refresh token is no token')
  })

  it('given offline_token, when a token is asked for by Basic, then a password gets a refresh token and a token of a user does not', async () => {
    const ask = async (authorization: string) =>
      (await on.call('GET', `${tokenUrl(SCOPE)}&offline_token=true`, { authorization })).json.refresh_token
    assert.equal(typeof (await ask(reader)), 'string')
    assert.equal(await ask(''), undefined)
    const made = await on.call('POST', '/auth/api/user/token/reader/ci')
    assert.equal(await ask(basic('reader', made.json.data.id)), undefined)
  })

  it('given a password that was changed, when an old refresh token comes, then it is refused', async () => {
    const user = await addUser(on, 'leaver', 'images', ['READ'])
    const { refresh_token } = (await on.call('GET', `${tokenUrl()}&offline_token=true`, { authorization: user })).json
    await on.call('PUT', '/auth/api/user/update/info/leaver', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ pwd: 'another-password-of-leaver' }),
    })
    const { status, code } = await on.call('POST', '/v2/auth', form({ grant_type: 'refresh_token', refresh_token }))
    assert.deepEqual([status, code], [401, 'UNAUTHORIZED'])
  })

  for (const [title, fields] of [
    ['no grant type', {}],
    ['a grant type that nobody has', { grant_type: 'authorization_code' }],
    ['a password without a user', { grant_type: 'password', password: 'x' }],
  ] as const) {
    it(`given a form with ${title}, when a token is asked for, then it is refused as a bad request`, async () => {
      const { status, json } = await on.call('POST', '/v2/auth', form(fields))
      assert.equal(status, 400)
      assert.equal(json.errors.length, 1)
    })
  }

  it('given many wrong passwords, when a token is asked for again, then it has to wait: 429 TOOMANYREQUESTS', async () => {
    await addUser(on, 'guessed', 'images', ['READ'])
    for (let guess = 0; guess < 30; guess++) {
      const { status, code, headers } = await on.call('GET', tokenUrl(), {
        authorization: basic('guessed', `x${guess}`),
      })
      if (status === 401) continue
      assert.deepEqual([status, code], [429, 'TOOMANYREQUESTS'])
      assert.ok(Number(headers.get('retry-after')) >= 1)
      return
    }
    assert.fail('nobody had to wait')
  })

  it('given an empty Authorization, when the registry is asked for, then it is as without', async () => {
    const { hostname, port } = new URL(on.server.url)
    const { promise, resolve } = Promise.withResolvers<number | undefined>()
    request({ hostname, port, path: '/v2/', headers: { authorization: '' } }, (answer) => {
      resolve(answer.resume().statusCode)
    }).end()
    assert.equal(await promise, 401)
  })

  it('given another name of the host, when challenged, then the realm has it', async () => {
    const { hostname, port } = new URL(on.server.url)
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    request({ hostname, port, path: '/v2/', headers: { host: 'registry.example:5000' } }, (answer) => {
      resolve(answer.resume().headers['www-authenticate'])
    }).end()
    assert.match((await promise) ?? '', /^Bearer realm="http:\/\/registry\.example:5000\/v2\/auth"/)
  })

  it('given a user who may push but not delete, when an upload is given up, then it is', async () => {
    const location = (await on.call('POST', '/v2/demo/images/team/x/blobs/uploads/', { authorization: writer })).headers
    const answer = await on.call('DELETE', location.get('location')!, { authorization: writer })
    assert.equal(answer.status, 204)
    const other = await on.call('DELETE', '/v2/demo/images/team/x/manifests/1.0', { authorization: writer })
    assert.deepEqual([other.status, other.code], [403, 'DENIED'])
  })

  describe('errors', () => {
    for (const [title, method, target, status, code] of [
      ['a URL that nobody serves', 'GET', '/v2/demo/images/nginx/nothing', 404, 'NAME_UNKNOWN'],
      ['a URL with too little', 'GET', '/v2/nothing', 404, 'NAME_UNKNOWN'],
      ['a method that the endpoint does not have', 'POST', '/v2/demo/images/nginx/tags/list', 405, 'UNSUPPORTED'],
      ['a project that is not there', 'GET', '/v2/nobody/images/nginx/tags/list', 404, 'NAME_UNKNOWN'],
      ['a repository that is not there', 'GET', '/v2/demo/nothing/nginx/tags/list', 404, 'NAME_UNKNOWN'],
      ['a name in capitals', 'GET', '/v2/demo/images/NGINX/tags/list', 400, 'NAME_INVALID'],
      ['a name of 256 characters', 'GET', `/v2/demo/images/${'a'.repeat(256)}/tags/list`, 400, 'NAME_INVALID'],
      ['a name of a hundred parts', 'GET', `/v2/demo/images/${'a/'.repeat(99)}a/tags/list`, 400, 'NAME_INVALID'],
      ['no name', 'GET', '/v2/demo/images/tags/list', 400, 'NAME_INVALID'],
      ['a name with an empty part', 'GET', '/v2/demo/images/a//b/tags/list', 400, 'NAME_INVALID'],
      ['a way out', 'GET', '/v2/demo/images/a%2F..%2Fb/tags/list', 400, 'NAME_INVALID'],
      ['a control character', 'GET', '/v2/demo/images/a%00b/tags/list', 400, 'NAME_INVALID'],
      ['a bad percent-encoding', 'GET', '/v2/demo/images/%zz/tags/list', 400, 'UNSUPPORTED'],
    ] as const) {
      it(`given ${title}, when asked for, then the error is in the registry's form: ${status} ${code}`, async () => {
        const answer = await on.call(method, target)
        assert.equal(answer.status, status)
        assert.equal(answer.code, code)
        assert.equal(answer.headers.get('docker-distribution-api-version'), 'registry/2.0')
        assert.deepEqual(Object.keys(answer.json.errors[0]), ['code', 'message', 'detail'])
      })
    }

    it('given a NUL character in a parameter, when asked for, then it is refused: PostgreSQL knows none', async () => {
      const digest = digestOf('x')
      for (const [method, target] of [
        ['GET', '/v2/demo/others/nginx/tags/list?last=%00'],
        ['GET', `/v2/demo/others/nginx/referrers/${digest}?last=%00`],
        ['POST', `/v2/demo/others/nginx/blobs/uploads/?mount=${digest}&from=de%00mo/others/x`],
        ['POST', `/v2/demo/others/nginx/blobs/uploads/?mount=${digest}&from=demo/oth%00ers/x`],
      ] as const) {
        const { status, json } = await on.call(method, target)
        assert.equal(status, 400)
        assert.equal(json.errors.length, 1)
      }
      const login = { grant_type: 'password', username: 'reader', password: 'correct-horse-battery-reader' }
      const { status, json } = await on.call(
        'POST',
        '/v2/auth',
        form({ ...login, scope: 'repository:de\0mo/r/x:pull' }),
      )
      assert.deepEqual([status, json.scope], [200, ''])
    })

    it('given a repository of files, when an image of it is asked for, then there is no such name', async () => {
      const { signal } = new AbortController()
      const body = { projectId: 'demo', name: 'files', type: 'GENERIC', category: 'LOCAL', public: false }
      await on.server.api.call('POST', '/repository/api/repo/create', body, signal)
      const { status, code } = await on.call('GET', '/v2/demo/files/nginx/tags/list')
      assert.deepEqual([status, code], [404, 'NAME_UNKNOWN'])
    })

    it('given nonsense at every endpoint with every method, when sent, then no answer is a fault of ours', async () => {
      const begun = await on.call('POST', '/v2/demo/images/odd/blobs/uploads/')
      const places = [
        ...[
          'manifests/1.0',
          'manifests/sha256:0',
          `manifests/sha256:${'0'.repeat(64)}`,
          'manifests/%00',
          'manifests/a%20b',
        ],
        ...[
          'blobs/x',
          `blobs/sha512:${'0'.repeat(128)}`,
          'blobs/uploads/',
          'blobs/uploads/x',
          'tags/list',
          'referrers/x',
        ],
      ].map((place) => `/v2/demo/images/odd/${place}`)
      const queries = ['', '?digest=x&mount=y&from=z', '?n=-1&last=%00', '?digest=&n=', '?n=1&n=2&artifactType=%0a']
      const headers = { range: 'bytes=9-1', 'content-range': '9-1', 'content-type': 'no media type', accept: ',;q' }
      for (const place of [...places, begun.headers.get('location')!]) {
        for (const query of queries) {
          for (const method of ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE']) {
            const body =
              method === 'GET' || method === 'HEAD' ? {} : { body: '{"schemaVersion":2,"config":[],"layers":7}' }
            const answer = await on.call(method, `${place}${query}`, { headers, ...body })
            const about = `${method} ${place}${query}: ${answer.status} ${answer.body.subarray(0, 200)}`
            assert.ok(answer.status < 500, about)
            if (answer.status >= 400 && method !== 'HEAD') assert.match(answer.code ?? '', /^[A-Z_]+$/, about)
          }
        }
      }
    })

    it('given a wrong method, when refused, then the answer names the right ones', async () => {
      const { headers } = await on.call('PATCH', '/v2/demo/images/nginx/manifests/1.0')
      assert.equal(headers.get('allow'), 'GET, HEAD, PUT, DELETE')
    })
  })

  describe('the catalog', () => {
    before(async () => {
      for (const name of ['demo/images/alone', 'demo/images/team/a', 'demo/images/team/b', 'demo/others/open']) {
        await on.pushImage(name, '1.0')
      }
    })

    it('given images in two repositories, when listed, then everybody sees what they may pull', async () => {
      const names = async (authorization: string) =>
        (await on.call('GET', '/v2/_catalog', { authorization })).json.repositories
      const all = ['demo/images/alone', 'demo/images/team/a', 'demo/images/team/b', 'demo/others/open']
      assert.deepEqual(await names(basic('admin')), all)
      assert.deepEqual(await names(reader), all)
      assert.deepEqual(
        await names(writer),
        all.filter((name) => !name.endsWith('alone')),
      )
      assert.deepEqual(
        await names(await bearer(writer, 'registry:catalog:*')),
        all.filter((name) => !name.endsWith('alone')),
      )
      assert.deepEqual(await names(await bearer('', 'registry:catalog:*')), ['demo/others/open'])
    })

    it('given more than fit, when listed, then a link leads through all pages', async () => {
      const seen: string[] = []
      let next: string | undefined = '/v2/_catalog?n=1'
      while (next !== undefined) {
        const { json, headers } = await on.call('GET', next)
        assert.equal(json.repositories.length, 1)
        seen.push(...json.repositories)
        next = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
      }
      assert.equal(seen.length, 4)
      assert.deepEqual((await on.call('GET', '/v2/_catalog?n=0')).json, { repositories: [] })
      assert.equal((await on.call('GET', '/v2/_catalog?n=x')).status, 400)
    })

    it('given one repository, when its catalog is listed, then it has its images only', async () => {
      const { json } = await on.call('GET', '/demo/images/v2/_catalog')
      assert.deepEqual(json.repositories, ['demo/images/alone', 'demo/images/team/a', 'demo/images/team/b'])
      const { status, headers } = await on.call('GET', '/demo/images/v2/_catalog', { authorization: '' })
      assert.equal(status, 401)
      assert.match(headers.get('www-authenticate') ?? '', /^Bearer /)
      const token = await bearer(reader, 'registry:catalog:*')
      const listed = await on.call('GET', '/demo/images/v2/_catalog', { authorization: token })
      assert.equal(listed.json.repositories.length, 3)
    })

    it('given a repository that is absent, or not theirs, when its catalog is listed, then nobody but an administrator learns it', async () => {
      const stranger = await addUser(on, 'stranger', 'others', ['READ'])
      for (const target of ['/demo/images/v2/_catalog', '/demo/nothing/v2/_catalog']) {
        assert.deepEqual((await on.call('GET', target, { authorization: stranger })).json, { repositories: [] })
      }
      assert.equal((await on.call('GET', '/demo/nothing/v2/_catalog')).code, 'NAME_UNKNOWN')
    })

    it('given a token for an image, when the catalog is listed with it, then it does not reach', async () => {
      const { status, headers } = await on.call('GET', '/v2/_catalog', { authorization: await bearer(reader, SCOPE) })
      assert.equal(status, 401)
      assert.match(headers.get('www-authenticate') ?? '', /scope="registry:catalog:\*",error="insufficient_scope"/)
    })
  })
})
