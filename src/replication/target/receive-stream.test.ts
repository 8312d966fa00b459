import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { loseOpenSegments } from '../../../test/helpers/packed-site.ts'
import {
  type Answer,
  acksOf,
  entry,
  exceptionsOf,
  type Incoming,
  LINK,
  OTHER_LINK,
  type StreamTarget,
  streamTarget,
} from '../../../test/helpers/stream-target.ts'
import { hasCode } from '../../core/errors.ts'
import type { StreamBegin } from '../../remotes/cluster/frames/frame.ts'
import { createStreamReceiver } from './receive-stream.ts'

const END: Incoming = { type: 'end' }
const files = (count: number, from = 1) =>
  Array.from({ length: count }, (_, n) => entry(from + n, `/d/f${from + n}`, `content ${from + n}`))

/** A stream whose frames come when the test says so. */
function openStream(target: StreamTarget, receive = target.receive, begin: Partial<StreamBegin> = {}) {
  const answers: Answer[] = []
  const arriving: (readonly Incoming[] | 'cut')[] = [[{ type: 'begin', begin: target.begin(begin) }]]
  let wake = () => {}
  let pulls = 0
  async function* feed() {
    for (;;) {
      pulls++
      while (arriving.length === 0) await new Promise<void>((resolve) => (wake = resolve))
      const frames = arriving.shift()!
      if (frames === 'cut') return
      yield frames
    }
  }
  const done = receive(LINK, feed(), async (answer) => void answers.push(answer), new AbortController().signal)
  done.catch(() => undefined)
  return {
    ...{ answers, done },
    /** Times that the receiver asked for more. */
    pulls: () => pulls,
    push(frames: readonly Incoming[] | 'cut') {
      arriving.push(frames)
      wake()
    },
    async until(condition: () => boolean) {
      while (!condition()) await setImmediate()
    },
  }
}

eachDatabase('receiving a stream', (make) => {
  it('given new files, when they come, then they are written with their bytes and one acknowledgement says so', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const answers = await target.send({}, [entry(1, '/a/x', 'one'), entry(2, '/a/y', 'two'), END])
    assert.deepEqual(answers, [{ type: 'ack', hi: 2, seq: 0, exceptions: [] }, END])
    assert.deepEqual(await target.files(), { '/a/x': 'one', '/a/y': 'two' })
    assert.deepEqual(target.counted, { received: 6, redundant: 0 })
  })

  it('given more files than a batch takes, when they come, then there is one acknowledgement per 500, in order', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const answers = await target.send({}, [...files(1_100), END])
    assert.deepEqual(
      acksOf(answers).map(({ hi }) => hi),
      [500, 1_000, 1_100],
    )
    assert.equal(Object.keys(await target.files()).length, 1_100)
  })

  it('given 4 MiB of contents, when they have come, then they are a batch', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const large = [1, 2, 3, 4, 5].map((n) => entry(n, `/f${n}`, `${n}`.repeat(1024 * 1024)))
    assert.deepEqual(
      acksOf(await target.send({}, [...large, END])).map(({ hi }) => hi),
      [4, 5],
    )
  })

  it('given barriers, when one comes, then all before it is acknowledged with its number, were it nothing', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const frames: Incoming[] = [{ type: 'barrier', seq: 7 }, entry(1, '/a', 'one'), { type: 'barrier', seq: 9 }, END]
    const acks = acksOf(await target.send({}, frames))
    assert.deepEqual(
      acks.map(({ hi, seq }) => [hi, seq]),
      [
        [0, 7],
        [1, 9],
      ],
    )
  })

  it('given barriers without an item between them, when they come together, then one acknowledgement has the number of the last', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const barriers: Incoming[] = Array.from({ length: 1_000 }, (_, seq) => ({ type: 'barrier', seq }))
    const answers = await target.send({}, [entry(1, '/a', 'one'), ...barriers, entry(2, '/b', 'two'), END])
    assert.deepEqual(
      acksOf(answers).map(({ hi, seq }) => [hi, seq]),
      [
        [1, 999],
        [2, 999],
      ],
    )
  })

  it('given very many frames at once, when the source goes away, then the work ends before they are taken', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const gone = new AbortController()
    let commits = 0
    const commitBatch: typeof target.deps.commitBatch = async () => {
      commits++
      gone.abort(new Error('the client went away'))
      return { exceptions: [], failed: false }
    }
    const receive = createStreamReceiver({ ...target.deps, commitBatch })
    async function* feed() {
      yield [{ type: 'begin', begin: target.begin() } as const, ...files(20_000)]
    }
    await assert.rejects(
      receive(LINK, feed(), async () => {}, gone.signal),
      /the client went away/,
    )
    assert.ok(commits <= 2, `${commits} batches`)
  })

  it('given a batch that is not full, when nothing comes for 5 ms, then it is written', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const stream = openStream(target)
    stream.push([entry(1, '/a', 'one')])
    await target.clock.untilSleeping()
    assert.deepEqual(await target.files(), {})
    await target.clock.advance(5)
    await stream.until(() => stream.answers.length === 1)
    assert.deepEqual(await target.files(), { '/a': 'one' })
    stream.push([END])
    await stream.done
  })

  it('given one path twice, when both come at once, then the second one is written after the first', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const frames = [entry(1, '/a', 'one'), entry(2, '/b', 'one'), entry(3, '/a', 'two'), entry(4, '/c', 'one'), END]
    const answers = await target.send({}, frames)
    assert.deepEqual(acksOf(answers), [
      { type: 'ack', hi: 2, seq: 0, exceptions: [] },
      { type: 'ack', hi: 4, seq: 0, exceptions: [] },
    ])
    assert.deepEqual(await target.files(), { '/a': 'two', '/b': 'one', '/c': 'one' })
  })

  it('given a file and one below it, in either order, when they come, then the second is refused by what stands there', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const items = ['/n', '/n/x', '/ok', '/m/y/z', '/m'].map((path, n) => entry(n + 1, path, 'one'))
    assert.deepEqual(await target.deliver(items), [
      'written',
      'refused: the target has a file at [/n], where it needs a folder',
      'written',
      'written',
      'refused: the target has a folder there',
    ])
  })

  it('given items that earlier runs of the link wrote, when they come again, then each is said to be delivered by the run that is named, and of others unchanged', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.write('/theirs', 'of users')
    const items = [entry(1, '/x', 'one'), entry(2, '/theirs', 'ours')]
    const rules = { conflictStrategy: 'OVERWRITE' } as const
    await target.deliver(items, { ...rules, run: 7 })
    await target.deliver([entry(1, '/y', 'two')], { run: 8, stream: 'other' })
    const all = [...items, entry(3, '/y', 'two')]
    const later = { ...rules, run: 9, stream: 'later' }
    assert.deepEqual(await target.deliver(all, { ...later, earlierRuns: [5, 7] }), [
      'delivered: 7',
      'delivered-replaced: 7',
      'unchanged',
    ])
    assert.deepEqual(await target.deliver(all, { ...later, earlierRuns: [8, 7], stream: 'again' }), [
      'delivered: 7',
      'delivered-replaced: 7',
      'delivered: 8',
    ])
    const otherLink = { ...later, earlierRuns: [7, 8], stream: 'of another' }
    assert.deepEqual(await target.deliver(all, otherLink, OTHER_LINK), ['unchanged', 'unchanged', 'unchanged'])
  })

  it('given that the target died between its commit and the acknowledgement, when the run sends again, then the files count as delivered', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.send({}, [entry(9, '/b', 'theirs'), END], OTHER_LINK)
    const items = [entry(1, '/a', 'one'), entry(2, '/b', 'two')]
    const rules = { conflictStrategy: 'OVERWRITE', run: 5 } as const
    const deaf = target.receive(
      LINK,
      (async function* () {
        yield [{ type: 'begin', begin: target.begin(rules) } as const, ...items, END]
      })(),
      async () => {
        throw new Error('the line is dead')
      },
      new AbortController().signal,
    )
    await assert.rejects(deaf, /the line is dead/)
    const before = await target.logRows()
    assert.deepEqual(await target.deliver(items, { ...rules, fence: 2 }), ['delivered', 'delivered-replaced'])
    assert.deepEqual(await target.deliver(items, { ...rules, run: 6, stream: 't' }), ['unchanged', 'unchanged'])
    assert.equal(await target.logRows(), before)
    assert.equal(target.counted.redundant, 12)
  })
})

eachDatabase('receiving a stream: who may', (make) => {
  it('given a higher fence before, when a zombie begins, then it is fenced and nothing is written', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.send({ fence: 3 }, [END])
    assert.deepEqual(await target.send({ fence: 2 }, [entry(1, '/a', 'one'), END]), [{ type: 'fenced', fence: 3 }])
    assert.deepEqual(await target.files(), {})
    assert.deepEqual(await target.send({ fence: 1, stream: 't' }, [END]), [END])
  })

  it('given a stream under way, when its successor begins, then the next batch is fenced', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const zombie = openStream(target)
    zombie.push([entry(1, '/a', 'one'), { type: 'barrier', seq: 0 }])
    await zombie.until(() => zombie.answers.length === 1)
    await target.send({ fence: 2 }, [END])
    zombie.push([entry(2, '/b', 'one'), END])
    await zombie.done
    assert.deepEqual(zombie.answers[1], { type: 'fenced', fence: 2 })
    assert.deepEqual(await target.files(), { '/a': 'one' })
  })

  it('given a repository that is not there, takes no uploads or was replaced, when a stream begins, then it is refused', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const rejected = (begin: Partial<StreamBegin>, code: 'PRECONDITION_FAILED' | 'REPOSITORY_NOT_FOUND') =>
      assert.rejects(target.send(begin, [END]), (error) => hasCode(error, code))
    await rejected({ epoch: 'another' }, 'PRECONDITION_FAILED')
    await rejected({ repo: 'none' }, 'REPOSITORY_NOT_FOUND')
    const virtual = { project: 'demo', name: 'seen', type: 'GENERIC', category: 'VIRTUAL', public: false } as const
    const configuration = { type: 'virtual', repositoryList: [{ name: 'files' }] }
    const { epoch } = await target.on.repositories.create({ ...virtual, configuration }, 'admin')
    await assert.rejects(target.send({ repo: 'seen', epoch }, [END]), (error) => hasCode(error, 'METHOD_NOT_ALLOWED'))
  })

  it('given frames in an order that makes no sense, when they come, then the stream is refused', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const receive = async (...frames: Incoming[]) => {
      async function* feed() {
        yield frames
      }
      await target.receive(LINK, feed(), async () => {}, new AbortController().signal)
    }
    const begin: Incoming = { type: 'begin', begin: target.begin() }
    for (const frames of [[], [entry(1, '/a', 'one'), begin], [begin, begin]]) {
      await assert.rejects(receive(...frames), (error) => hasCode(error, 'REQUEST_CONTENT_INVALID'))
    }
  })
})

eachDatabase('receiving a stream: trouble', (make) => {
  it('given that the connection ends without END, when items have come, then they are written', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const stream = openStream(target)
    stream.push([entry(1, '/a', 'one')])
    stream.push('cut')
    await stream.done
    assert.deepEqual(acksOf(stream.answers).length, 1)
    assert.deepEqual(await target.files(), { '/a': 'one' })
  })

  for (const [what, error] of [
    ['full', Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })],
    ['full', Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 })],
    ['fails', Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', errcode: 778 })],
  ] as const) {
    it(`given a disk that ${what === 'full' ? 'is full' : what}: ${error.message}, when a batch is stored, then the stream is refused in words, and a later one works`, async () => {
      await using db = await make()
      const target = await streamTarget(db)
      let broken = true
      const commitBatch = (...args: Parameters<typeof target.deps.commitBatch>) =>
        broken ? Promise.reject(error) : target.deps.commitBatch(...args)
      const receive = createStreamReceiver({ ...target.deps, commitBatch })
      const stream = openStream(target, receive)
      stream.push([entry(1, '/a', 'one'), { type: 'barrier', seq: 0 }])
      await assert.rejects(stream.done, (refusal) => {
        assert.ok(hasCode(refusal, 'STORAGE_UNAVAILABLE') && refusal.retryable)
        assert.match(refusal.message, what === 'full' ? /no space left/ : /storage of this server fails/)
        return true
      })
      broken = false
      const next = openStream(target, receive)
      next.push([entry(1, '/a', 'one'), END])
      await next.done
      assert.deepEqual(await target.files(), { '/a': 'one' })
    })
  }

  it('given an open segment that the database has lost, when more comes, then it is written all the same', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.send({}, [entry(1, '/before', 'before'), END])
    await loseOpenSegments(db)
    assert.deepEqual(await target.deliver([entry(1, '/a', 'one'), entry(2, '/b', 'two')]), ['written', 'written'])
    assert.deepEqual(await target.files(), { '/a': 'one', '/b': 'two' })
  })

  it('given batches that take long, when more comes, then one is made ready meanwhile, and no third is read', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const held: (() => void)[] = []
    const commitBatch: typeof target.deps.commitBatch = async () => {
      await new Promise<void>((resolve) => held.push(resolve))
      return { exceptions: [], failed: false }
    }
    const stream = openStream(target, createStreamReceiver({ ...target.deps, commitBatch }))
    for (let n = 0; n < 4; n++) stream.push(files(500, 1 + n * 500))
    stream.push([END])
    await stream.until(() => held.length === 1)
    for (let n = 0; n < 50; n++) await setImmediate()
    assert.equal(held.length, 1)
    assert.equal(stream.pulls(), 3)
    for (let n = 0; n < 4; n++) {
      await stream.until(() => held.length === n + 1)
      held[n]!()
    }
    await stream.done
    assert.deepEqual(
      acksOf(stream.answers).map(({ hi }) => hi),
      [500, 1_000, 1_500, 2_000],
    )
    assert.deepEqual(exceptionsOf(stream.answers), [])
  })

  it('given a batch that failed while the source waits, when nothing more comes, then the stream ends all the same', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const commitBatch = async () => {
      throw new Error('broken')
    }
    const stream = openStream(target, createStreamReceiver({ ...target.deps, commitBatch }))
    stream.push([entry(1, '/a', 'one'), { type: 'barrier', seq: 0 }])
    await assert.rejects(stream.done, /broken/)
  })
})
