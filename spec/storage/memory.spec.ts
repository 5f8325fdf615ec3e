import { inspect } from 'node:util'
import { MemoryTokenStorage } from 'axios-oauth2'
import { startWorld, type World } from '../support/world'

describe('without a storage', () => {
  let world: World

  beforeEach(async () => void (world = await startWorld()))
  afterEach(() => world.stop())

  it('a session lives in memory only, which describe() says [storage.memory-default]', async () => {
    const { api, provider } = world.connect()
    await api.get('')
    await api.get('')
    expect(await provider.describe()).toMatchObject({ inMemoryOnly: true, session: 'valid' })
    const other = world.connect({ interactive: false })
    await expect(other.api.get('')).rejects.toMatchObject({ code: 'OAUTH_AUTHORIZATION_REQUIRED' })
    expect(world.user.visits).toHaveLength(1)
  })

  it('is not so with one [storage.memory-default]', async () => {
    const { provider } = world.connect({ storage: new MemoryTokenStorage() })
    expect(await provider.describe()).toMatchObject({ inMemoryOnly: false })
  })

  it('two providers over one memory share a session, which nobody renews twice [storage.memory-default]', async () => {
    const storage = new MemoryTokenStorage({ now: world.clock.now })
    await world.connect({ storage }).api.get('')
    world.expireTokens()
    world.forget()
    await Promise.all([1, 2, 3].map(() => world.connect({ storage, interactive: false }).api.get('')))
    expect([world.count('token'), world.reuseDetections]).toEqual([1, 0])
  })
})

describe('new MemoryTokenStorage()', () => {
  it('compares before it writes, and forgets in time [storage.memory-default]', async () => {
    let now = 0
    const storage = new MemoryTokenStorage({ now: () => now })
    await storage.set('key', 'one', { expected: null })
    await expect(storage.set('key', 'two', { expected: null })).rejects.toMatchObject({ code: 'OAUTH_STORE_LOCK' })
    await storage.set('key', 'two', { expected: 'one', ttl: 1000 })
    now = 999
    expect(await storage.get('key')).toBe('two')
    now = 1000
    expect(await storage.get('key')).toBeUndefined()
    await storage.set('key', 'three', { expected: null })
    await storage.delete('key')
    expect(await storage.get('key')).toBeUndefined()
  })

  it('runs work under one key in turn, under two keys at once, and lets a waiter go [storage.memory-default]', async () => {
    const storage = new MemoryTokenStorage()
    const order: string[] = []
    let release = (): void => undefined
    const { signal } = new AbortController()
    const first = storage.lock(
      'a',
      () => new Promise<void>((resolve) => (release = resolve)).then(() => void order.push('a1')),
      { signal },
    )
    const second = storage.lock('a', () => Promise.resolve(void order.push('a2')), { signal })
    const ending = new AbortController()
    const third = storage.lock('a', () => Promise.resolve(void order.push('a3')), { signal: ending.signal })
    await storage.lock('b', () => Promise.resolve(void order.push('b')), { signal })
    ending.abort(new Error('waited long enough'))
    await expect(third).rejects.toThrow('waited long enough')
    release()
    await Promise.all([first, second])
    expect(order).toEqual(['b', 'a1', 'a2'])
  })

  it('shows nothing of what it holds [storage.memory-default]', async () => {
    const storage = new MemoryTokenStorage()
    await storage.set('the-key', 'the-secret')
    const renderings = [inspect(storage, { depth: Infinity, showHidden: true }), JSON.stringify(storage)]
    expect(renderings.join()).not.toMatch(/the-(key|secret)/)
  })
})
