import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parseSamples, sumOf } from './prometheus.ts'

it('given the text format, when summed over one label, then comments and other metrics take no part', () => {
  const samples = parseSamples(
    [
      '# HELP a_total x',
      'a_total{route="/x/{id}",status="200"} 3',
      'a_total{route="/y",status="200"} 4',
      'b_total 9',
    ].join('\n'),
  )
  assert.equal(
    sumOf(samples, 'a_total', ({ route }) => route === '/x/{id}'),
    3,
  )
  assert.equal(
    sumOf(samples, 'b_total', () => true),
    9,
  )
})
