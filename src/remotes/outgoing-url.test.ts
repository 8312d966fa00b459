import assert from 'node:assert/strict'
import type { lookup as dnsLookup } from 'node:dns'
import { it } from 'node:test'
import { hasCode } from '../core/errors.ts'
import { addressKind } from './outgoing-address.ts'
import { checkOutgoingUrl, checkResolved, guardedLookup, guardedLookupFor, withScheme } from './outgoing-url.ts'

const refused = (url: string, allowPrivate: boolean) =>
  assert.throws(
    () => checkOutgoingUrl('url', url, { allowPrivate }),
    (error) => hasCode(error, 'PARAMETER_INVALID') && error.detail.name === 'url',
    `${url} was let through`,
  )

it('given addresses of other kinds than a plain http server, when checked, then they are refused by field name', () => {
  for (const url of [
    'ftp://example.com',
    'file:///etc/passwd',
    'http://',
    'http://user:secret@example.com',
    'http://example.com?a=b',
    'http://example.com/#x',
    'http://exa mple.com',
    'http://example.com/\u0000',
  ]) {
    refused(url, true)
  }
})

it('given link-local and reserved addresses in any spelling, when checked, then they are refused even where private ones are allowed', () => {
  for (const host of [
    '169.254.169.254',
    '2852039166', // the same as one number
    '0xa9fea9fe',
    '169.254.43518',
    '[fe80::1]',
    '[::ffff:169.254.169.254]',
    '[64:ff9b::a9fe:a9fe]',
    '[fd00:ec2::254]',
    '[2002:a9fe:a9fe::]',
    '[2001:0:a9fe:a9fe::]',
    '[64:ff9b:1::a9fe:a9fe]',
    '0.0.0.0',
    '[::]',
    '224.0.0.1',
    '255.255.255.255',
  ]) {
    refused(`http://${host}/`, true)
  }
})

it('given loopback and private addresses, when checked, then the rule decides', () => {
  for (const host of [
    'localhost',
    'a.localhost',
    '127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '[::1]',
    '[fd12::1]',
    '[::ffff:127.0.0.1]',
    '127.1',
  ]) {
    refused(`http://${host}:8040`, false)
    assert.ok(checkOutgoingUrl('url', `http://${host}:8040`, { allowPrivate: true }))
  }
  assert.equal(checkOutgoingUrl('url', 'https://example.com/replication', { allowPrivate: false }).host, 'example.com')
})

it('given an address without a scheme, when completed, then it is http, and others stay', () => {
  assert.equal(withScheme('localhost:8040'), 'http://localhost:8040')
  assert.equal(withScheme('https://a'), 'https://a')
})

it('given addresses outside every list, when classified, then they are public; text that is no address is refused', () => {
  assert.equal(addressKind('8.8.8.8'), 'public')
  assert.equal(addressKind('2001:4860:4860::8888'), 'public')
  assert.equal(addressKind('64:ff9b::808:808'), 'public')
  assert.equal(addressKind('64:ff9b::'), 'refused')
  assert.equal(addressKind('fe80::1%eth0'), 'refused')
  assert.equal(addressKind('example.com'), 'refused')
})

it('given a name that resolves to loopback, when looked up for a connection, then the rule decides again', async () => {
  const find = (lookup: typeof guardedLookup) =>
    new Promise((resolve) => lookup('localhost', { family: 4 }, (error, address) => resolve(error?.code ?? address)))
  assert.equal(await find(guardedLookup), '127.0.0.1')
  assert.equal(await find(guardedLookupFor({ allowPrivate: false })), 'EADDRNOTALLOWED')
})
it('given a name that resolves to what is refused, when looked up, then the failure says why and which setting allows it', async () => {
  const wordsFor = (address: string, allowPrivate: boolean) =>
    new Promise<string | undefined>((resolve) => {
      const answer = (_name: string, _options: object, done: (error: null, found: object[]) => void) =>
        done(null, [{ address, family: 4 }])
      const lookup = guardedLookupFor({ allowPrivate }, answer as unknown as typeof dnsLookup)
      lookup('registry.example', {}, (error) => resolve(error?.message))
    })
  assert.match(
    (await wordsFor('10.0.0.1', false)) ?? '',
    /registry\.example resolves to .*security\.allowPrivateTargets/,
  )
  assert.equal(await wordsFor('10.0.0.1', true), undefined)
  for (const allowPrivate of [true, false]) {
    assert.match((await wordsFor('169.254.169.254', allowPrivate)) ?? '', /registry\.example resolves to a link-local/)
  }
})

it('given names that lead nowhere, to private and to public addresses, when resolved ahead, then the rule decides, and nobody is asked of numbers', async (t) => {
  const answers: Readonly<Record<string, string>> = {
    'in.example': '10.0.0.1',
    'meta.example': '169.254.169.254',
    'out.example': '93.184.216.34',
  }
  const asked: string[] = []
  const resolve = ((name: string, _options: object, done: (...answer: unknown[]) => void) => {
    asked.push(name)
    const address = answers[name]
    if (address === undefined) done(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }))
    else done(null, [{ address, family: 4 }])
  }) as unknown as typeof dnsLookup
  const check = (hostname: string, allowPrivate: boolean) =>
    checkResolved('registry', { hostname }, { allowPrivate }, t.signal, resolve)
  await assert.rejects(
    check('in.example', false),
    (error: Error) =>
      hasCode(error, 'PARAMETER_INVALID') && /in.example resolves to a private address/.test(error.message),
  )
  await assert.rejects(
    check('meta.example', true),
    (error: Error) => hasCode(error, 'PARAMETER_INVALID') && /link-local/.test(error.message),
  )
  for (const host of ['out.example', 'nowhere.example', '[::1]', '127.0.0.1']) await check(host, false)
  await check('in.example', true)
  assert.deepEqual(asked, ['in.example', 'meta.example', 'out.example', 'nowhere.example', 'in.example'])
})
