import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isPlatformOf, parsePlatform } from './platform.ts'

describe('platforms', () => {
  it('given texts, when parsed, then os/arch[/variant] in lower case is one, and nothing else', () => {
    assert.deepEqual(parsePlatform('linux/arm/v7'), { os: 'linux', architecture: 'arm', variant: 'v7' })
    assert.deepEqual(parsePlatform('linux/amd64'), { os: 'linux', architecture: 'amd64' })
    for (const text of [
      '',
      'linux',
      'linux/',
      '/amd64',
      'linux/arm/v7/x',
      'Linux/amd64',
      'linux/amd 64',
      'linux//v7',
    ]) {
      assert.equal(parsePlatform(text), undefined, text)
    }
  })

  it('given a wanted platform, when images are compared with it, then a variant counts where it is wanted', () => {
    const arm = [parsePlatform('linux/arm/v7')!]
    assert.equal(isPlatformOf(arm, { os: 'linux', architecture: 'arm', variant: 'v6' }), false)
    assert.equal(isPlatformOf(arm, { os: 'linux', architecture: 'arm', variant: 'v7' }), true)
    assert.equal(isPlatformOf(arm, { os: 'linux', architecture: 'arm' }), true)
    const arm64 = [parsePlatform('linux/arm64')!]
    assert.equal(isPlatformOf(arm64, { os: 'linux', architecture: 'arm64', variant: 'v8' }), true)
    assert.equal(isPlatformOf(arm64, { os: 'windows', architecture: 'arm64' }), false)
    const v8 = [parsePlatform('linux/arm64/v8')!]
    assert.equal(isPlatformOf(v8, { os: 'linux', architecture: 'arm64' }), true)
  })
})
