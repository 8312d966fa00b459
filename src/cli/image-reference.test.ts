import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { imageReference, importNameOf } from './image-reference.ts'

const CASES = [
  ['oci://h/nginx', { registry: 'h', image: 'nginx', version: undefined }, 'i_nginx'],
  ['oci://h:5000/team/nginx:1.1', { registry: 'h:5000', image: 'team/nginx', version: '1.1' }, 'i_team_nginx-1_1'],
  ['docker://docker.io/nginx:1', { registry: 'docker.io', image: 'nginx', version: '1' }, 'i_nginx-1'],
  ['http://127.0.0.1:1/a', { registry: 'http://127.0.0.1:1', image: 'a', version: undefined }, 'i_a'],
  ['oci://h/a@sha256:ab', { registry: 'h', image: 'a', version: 'sha256:ab' }, 'i_a-sha256_ab'],
  ['oci://h:5000', { registry: 'h:5000', image: undefined, version: undefined }, 'i_h_5000'],
] as const

describe('references of images on the command line', () => {
  for (const [text, reference, name] of CASES) {
    it(`given ${text}, when read, then registry, image and version are told apart, and its import has a name`, () => {
      assert.deepEqual(imageReference(text), reference)
      assert.equal(importNameOf(imageReference(text)), name)
    })
  }
  for (const text of ['nginx', 'oci://', 'ftp://h/a', 'oci://h/a b', 'oci://user:pw@h/a']) {
    it(`given ${text}, when read, then it is refused with how to write it`, () => {
      assert.throws(() => imageReference(text), /oci:\/\/registry/)
    })
  }
})
