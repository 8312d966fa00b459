import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { progressLine, progressView } from './progress.ts'

const HALF = { doneFiles: 5, totalFiles: 10, doneBytes: 50_000_000, totalBytes: 100_000_000 }

describe('progressLine', () => {
  it('given half of the bytes after a second, when drawn, then bar, files, rate and time left say so', () => {
    const line = progressLine(HALF, 1_000)
    assert.equal(line, `[${'█'.repeat(10)}${'░'.repeat(10)}]  5/10 files  50.0/100.0 MB  50.0 MB/s  ETA 1 s`)
  })
  it('given nothing done yet, when drawn, then the time left is unknown', () => {
    assert.match(progressLine({ ...HALF, doneBytes: 0 }, 1_000), /ETA \? s$/)
  })
})

describe('progressView', () => {
  const viewOn = (isTTY: true | undefined) => {
    const written: string[] = []
    let nowMs = 0
    const view = progressView({ isTTY, columns: 200, write: (text) => written.push(text) }, () => nowMs)
    return { view, written, at: (ms: number) => (nowMs = ms) }
  }
  it('given no terminal, when shown ten times a second, then one plain line a second is written', () => {
    const { view, written, at } = viewOn(undefined)
    for (let ms = 0; ms <= 2_000; ms += 100) {
      at(ms)
      view.show(HALF)
    }
    assert.equal(written.length, 2)
    assert.ok(written.every((line) => line.endsWith('\n') && !line.includes('\r')))
  })
  it('given a terminal, when shown and finished, then the same line is drawn again and ends at last', () => {
    const { view, written, at } = viewOn(true)
    at(500)
    view.show(HALF)
    view.finish(HALF)
    assert.ok(written.every((line) => line.startsWith('\r')))
    assert.deepEqual(
      written.map((line) => line.endsWith('\n')),
      [false, true],
    )
  })
})
