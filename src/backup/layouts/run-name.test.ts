import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runNameOf, runTimeOf } from './run-name.ts'

for (const [moment, zone, name] of [
  ['2024-12-24T16:13:54Z', 'Europe/Berlin', '20241224.171354'],
  ['2024-12-24T16:13:54.999Z', 'UTC', '20241224.161354'],
  ['2024-12-31T16:00:00Z', 'Asia/Shanghai', '20250101.000000'],
] as const) {
  it(`given ${moment} in ${zone}, when a run is named, then it is ${name}, and the name tells the moment`, () => {
    const ms = Date.parse(moment)
    assert.equal(runNameOf(ms, zone), name)
    assert.equal(runTimeOf(name, zone), Math.floor(ms / 1_000) * 1_000)
  })
}

it('given the hour that comes twice, when its names are read, then it is the first', () => {
  const first = Date.parse('2024-10-27T00:30:00Z')
  assert.equal(runNameOf(first, 'Europe/Berlin'), runNameOf(first + 3_600_000, 'Europe/Berlin'))
  assert.equal(runTimeOf('20241027.023000', 'Europe/Berlin'), first)
})

for (const other of ['', 'repo', '20241324.171354', '20241224.251354', '20241224.171354.partial', '2024.1']) {
  it(`given [${other}], when it is read as the name of a run, then it is none`, () => {
    assert.equal(runTimeOf(other, 'UTC'), undefined)
  })
}
