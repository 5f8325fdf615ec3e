import { Mutex, SingleFlight, unlessAborted } from '../lib/mutex'

function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void; fail: (error: Error) => void } {
  let open!: (value: T) => void
  let fail!: (error: Error) => void
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { promise, open, fail }
}

describe('new Mutex().run(work)', () => {
  it('runs one piece of work after the other, in the order asked for', async () => {
    const mutex = new Mutex()
    const order: string[] = []
    const first = gate()
    const runs = [
      mutex.run(async () => {
        order.push('a begins')
        await first.promise
        order.push('a ends')
      }),
      mutex.run(async () => void order.push('b')),
      mutex.run(async () => void order.push('c')),
    ]
    await Promise.resolve()
    first.open()
    await Promise.all(runs)
    expect(order).toEqual(['a begins', 'a ends', 'b', 'c'])
  })

  it('gives the lock on after work that fails [concurrency.lock-freed]', async () => {
    const mutex = new Mutex()
    await expect(mutex.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(
      mutex.run(() => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
    await expect(mutex.run(() => Promise.resolve('yes'))).resolves.toBe('yes')
  })

  it('lets a waiter whose signal aborts leave the queue, and nobody else [concurrency.waiter-aborts]', async () => {
    const mutex = new Mutex()
    const first = gate()
    const holder = mutex.run(() => first.promise)
    const controller = new AbortController()
    const leaver = mutex.run(() => Promise.resolve('never'), controller.signal)
    const last = mutex.run(() => Promise.resolve('last'))
    controller.abort(new Error('gone'))
    await expect(leaver).rejects.toThrow('gone')
    first.open()
    await holder
    await expect(last).resolves.toBe('last')
  })
})

describe('new SingleFlight().run(key, work)', () => {
  it('gives one outcome to all callers of a key, and runs keys side by side [concurrency.one-refresh]', async () => {
    const flights = new SingleFlight<string>()
    const a = gate<string>()
    let runs = 0
    const work = (): Promise<string> => {
      runs += 1
      return a.promise
    }
    const callers = Array.from({ length: 100 }, () => flights.run('a', work))
    await expect(flights.run('b', () => Promise.resolve('other'))).resolves.toBe('other')
    a.open('one')
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['one']))
    expect(runs).toBe(1)
  })

  it('shares a failure and keeps none [concurrency.failure-shared]', async () => {
    const flights = new SingleFlight<string>()
    const work = (): Promise<string> => Promise.reject(new Error('down'))
    const outcomes = await Promise.allSettled([flights.run('a', work), flights.run('a', work)])
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['rejected', 'rejected'])
    await expect(flights.run('a', () => Promise.resolve('up'))).resolves.toBe('up')
  })

  it('ends the wait of the caller that aborts, not the work [concurrency.waiter-aborts] [concurrency.detached]', async () => {
    const flights = new SingleFlight<string>()
    const a = gate<string>()
    const controller = new AbortController()
    let abandoned = false
    const work = (signal: AbortSignal): Promise<string> => {
      signal.addEventListener('abort', () => (abandoned = true))
      return a.promise
    }
    const leaver = flights.run('a', work, controller.signal)
    controller.abort(new Error('gone'))
    await expect(leaver).rejects.toThrow('gone')
    expect(flights.has('a')).toBe(true)
    const joiner = flights.run('a', work)
    a.open('still')
    await expect(joiner).resolves.toBe('still')
    expect(abandoned).toBe(false)
  })

  it('aborts abandonable work when the last caller has gone, and forgets it [flow.abort]', async () => {
    const flights = new SingleFlight<string>({ abandonable: true })
    const [one, two] = [new AbortController(), new AbortController()]
    let abandoned: unknown
    const work = (signal: AbortSignal): Promise<string> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          abandoned = signal.reason
          reject(signal.reason as Error)
        })
      })
    const first = flights.run('a', work, one.signal)
    const second = flights.run('a', work, two.signal)
    one.abort(new Error('first gone'))
    await expect(first).rejects.toThrow('first gone')
    expect(abandoned).toBeUndefined()
    two.abort(new Error('second gone'))
    await expect(second).rejects.toThrow('second gone')
    expect(abandoned).toEqual(new Error('second gone'))
    expect(flights.has('a')).toBe(false)
  })
})

describe('unlessAborted(promise, signal)', () => {
  it('leaves no listener behind, however it ends [CC-03]', async () => {
    const { signal } = new AbortController()
    let listeners = 0
    const counting = {
      get aborted() {
        return signal.aborted
      },
      addEventListener: () => (listeners += 1),
      removeEventListener: () => (listeners -= 1),
    } as unknown as AbortSignal
    await unlessAborted(Promise.resolve(1), counting)
    await expect(unlessAborted(Promise.reject(new Error('x')), counting)).rejects.toThrow('x')
    expect(listeners).toBe(0)
  })
})
