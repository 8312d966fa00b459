import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from './errors.ts'
import {
  checkPackageKey,
  checkVersionName,
  packageKey,
  packageNameOf,
  packagePath,
  parsePackagePath,
  versionPath,
} from './package-key.ts'
import { EVERY_PATH, rangeHolds, rangesOfTree } from './path-range.ts'
import { ROOT } from './paths.ts'
import { REPOSITORY_TYPES } from './repository-type.ts'

describe('package keys', () => {
  it('given every repository type, when a key is made, then its scheme is the type in lower case, for MAVEN gav', () => {
    const scheme = (type: (typeof REPOSITORY_TYPES)[number]) => packageKey(type, 'x').split('://')[0]
    const schemes = 'docker oci npm helm pypi rpm composer nuget conan cargo ohpm huggingface rds git skill'.split(' ')
    for (const name of schemes) {
      const type = REPOSITORY_TYPES.find((one) => one === name.toUpperCase())!
      assert.equal(scheme(type), name)
    }
    assert.equal(scheme('MAVEN'), 'gav')
  })

  it('given a key of another scheme, without a name, too long or with a control character, when checked, then it is refused by name', () => {
    const bad = ['helm://x', 'npm://', 'npm:x', 'x', '', `npm://${'x'.repeat(1_024)}`, 'npm://a\u0001b', 'npm://\ud800']
    for (const text of bad) {
      assert.throws(
        () => checkPackageKey(text, 'NPM'),
        (error) => hasCode(error, 'PARAMETER_INVALID') && error.message.includes('packageKey'),
        JSON.stringify(text),
      )
    }
    assert.equal(packageNameOf(checkPackageKey('npm://@scope/a://b', 'NPM')), '@scope/a://b')
  })

  it('given a blank, too long or unprintable version, when checked, then it is refused by name', () => {
    for (const text of ['', ' ', 'x'.repeat(256), 'a\nb']) {
      assert.throws(
        () => checkVersionName(text),
        (error) => hasCode(error, 'PARAMETER_INVALID'),
        JSON.stringify(text),
      )
    }
  })

  it('given packages and versions, when named in the change log, then the names read back and no range of paths holds them', () => {
    const key = packageKey('NPM', '@scope/a')
    assert.deepEqual(parsePackagePath(packagePath(key)), { key, version: undefined })
    assert.deepEqual(parsePackagePath(versionPath(key, '1.0/x')), { key, version: '1.0/x' })
    assert.equal(parsePackagePath('/pkg/npm'), undefined)
    for (const path of [packagePath(key), versionPath(key, '1.0')]) {
      for (const range of [EVERY_PATH, ...rangesOfTree(ROOT)]) assert.equal(rangeHolds(range, path), false)
    }
  })
})
