import { createServer, type AddressInfo, type Server } from 'node:net'
import { OAuthAuthorizationError } from '../../lib/errors'
import { loopbackReceiver } from '../../lib/node'
import { redirectCandidates, type RedirectOptions } from '../../lib/node/redirect-candidates'
import { isListening, ReceiverBench, send, state, wait } from './loopback-client'

describe('loopbackReceiver()', () => {
  let bench: ReceiverBench
  const taken: Server[] = []
  beforeEach(() => (bench = new ReceiverBench()))
  afterEach(async () => {
    await bench.closeAll()
    await Promise.all(taken.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
  })

  /** A port that another program uses, or with `free` one that nobody uses. */
  async function port(o: { free: boolean }): Promise<number> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port: found } = server.address() as AddressInfo
    if (o.free) await new Promise((resolve) => server.close(resolve))
    else taken.push(server)
    return found
  }

  it('binds nothing before it is opened, and then what its redirect URI says [receiver.bound-uri]', async () => {
    const free = await port({ free: true })
    const receiver = bench.receiver({ ports: [free], path: '/oauth/done' })
    expect(receiver.redirectUris).toEqual([`http://127.0.0.1:${free}/oauth/done`])
    expect(await isListening(`http://127.0.0.1:${free}`)).toBe(false)
    const session = await bench.open(receiver)
    expect(session.redirectUri).toBe(`http://127.0.0.1:${free}/oauth/done`)
    expect(await isListening(session.redirectUri)).toBe(true)
  })

  it('takes any free port by default, and knows no redirect URI before [receiver.bound-uri]', async () => {
    const receiver = bench.receiver()
    expect(receiver).not.toHaveProperty('redirectUris')
    const [one, two] = [await bench.open(receiver), await bench.open(receiver)]
    expect(one.redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/)
    expect(two.redirectUri).not.toBe(one.redirectUri)
  })

  it('tries the listed ports in order [receiver.ports]', async () => {
    const ports = [await port({ free: false }), await port({ free: true })]
    expect((await bench.open(bench.receiver({ ports }))).redirectUri).toBe(`http://127.0.0.1:${ports[1]}/callback`)
  })

  it('tries the port of the stored registration first [receiver.ports]', async () => {
    const ports = [await port({ free: true }), await port({ free: true })]
    const registered = [`http://127.0.0.1:${ports[1]}/callback`]
    expect((await bench.open(bench.receiver({ ports }), registered)).redirectUri).toBe(registered[0])
    expect((await bench.open(bench.receiver(), [`http://localhost:${ports[0]}/cb`])).redirectUri).toBe(
      `http://localhost:${ports[0]}/cb`,
    )
  })

  it('takes another free port when the registered one is in use [receiver.ports]', async () => {
    const session = await bench.open(bench.receiver(), [`http://localhost:${await port({ free: false })}/cb`])
    expect(session.redirectUri).toMatch(/^http:\/\/localhost:\d+\/cb$/)
    expect(await isListening(session.redirectUri)).toBe(true)
  })

  it('rejects when no port is free, and lists them [receiver.ports] [CB-27]', async () => {
    const ports = [await port({ free: false }), await port({ free: false })]
    const failure = bench.open(bench.receiver({ ports }), [`http://127.0.0.1:${ports[1]}/callback`])
    await expect(failure).rejects.toThrow(OAuthAuthorizationError)
    await expect(failure).rejects.toThrow(`${ports[1]} (EADDRINUSE), ${ports[0]} (EADDRINUSE)`)
    await expect(failure).rejects.toMatchObject({ code: 'OAUTH_CALLBACK_INVALID', phase: 'authorization' })
    expect(bench.terminal.shown).toBe('')
  })

  it('is refused a port that a server on all addresses has [CB-27]', async () => {
    const server = createServer()
    taken.push(server)
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    const { port: used } = server.address() as AddressInfo
    await expect(bench.open(bench.receiver({ ports: [used] }))).rejects.toMatchObject({
      code: 'OAUTH_CALLBACK_INVALID',
    })
  })

  it('shares one listener between sign-ins, until the last is closed [receiver.only-its-callback] [receiver.closes]', async () => {
    const receiver = bench.receiver({ ports: [await port({ free: true })] })
    const [one, two] = await Promise.all([bench.open(receiver), bench.open(receiver)])
    expect(one.redirectUri).toBe(two.redirectUri)
    const [first, second] = [wait(one), wait(two, { state: 'two' })]
    await send(one.redirectUri, { target: `/callback?code=1&state=${state}` })
    expect((await first).searchParams.get('code')).toBe('1')
    await one.close()
    await send(two.redirectUri, { target: '/callback?code=2&state=two' })
    expect((await second).searchParams.get('code')).toBe('2')
    await two.close()
    expect(await isListening(two.redirectUri)).toBe(false)
    expect((await bench.open(receiver)).redirectUri).toBe(two.redirectUri)
  })

  it.each<[string, object]>([
    ['host', { host: '0.0.0.0' }],
    ['ports', { ports: [] }],
    ['ports', { ports: [0] }],
    ['ports', { ports: ['3000'] }],
    ['ports', { ports: 3000 }],
    ['path', { path: 'callback' }],
    ['path', { path: '//evil.example/callback' }],
    ['path', { path: '/a/../b' }],
    ['path', { path: '/a?b' }],
    ['path', { path: '/ä' }],
    ['openBrowser', { openBrowser: 'firefox' }],
    ['output', { output: 'stderr' }],
    ['input', { input: null }],
  ])('refuses a wrong %s at construction: %j', (name, options) => {
    expect(() => loopbackReceiver(options)).toThrow(TypeError)
    expect(() => loopbackReceiver(options)).toThrow(`loopbackReceiver: option ${name} must be `)
  })

  it('keeps the options it was given', async () => {
    const ports = [await port({ free: true })]
    const receiver = bench.receiver({ ports })
    const uri = `http://127.0.0.1:${ports[0]}/callback`
    ports.length = 0
    expect((await bench.open(receiver)).redirectUri).toBe(uri)
  })
})

describe('redirectCandidates(options, registered)', () => {
  it.each<[RedirectOptions, string[], string[]]>([
    [{}, [], ['0 http://127.0.0.1:99/callback']],
    [{ host: 'localhost' }, [], ['0 http://localhost:99/callback']],
    [{}, ['http://localhost:4000/cb?t=1'], ['4000 http://localhost:4000/cb?t=1', '0 http://localhost:99/cb?t=1']],
    [{}, ['http://localhost/cb'], ['0 http://localhost:99/cb']],
    [{ path: '/x' }, ['http://localhost:4000/cb'], ['0 http://127.0.0.1:99/x']],
    [{ host: '127.0.0.1' }, ['http://localhost:4000/callback'], ['0 http://127.0.0.1:99/callback']],
    [
      { ports: [1, 2] },
      ['http://127.0.0.1:2/callback'],
      ['2', '1', '2'].map((p) => `${p} http://127.0.0.1:${p}/callback`),
    ],
    [{ ports: [1] }, ['http://127.0.0.1:3/callback'], ['1 http://127.0.0.1:1/callback']],
    [{ ports: [1] }, ['http://127.0.0.1/callback'], ['1 http://127.0.0.1:1/callback']],
    [{}, ['https://app.example/cb', 'app:/cb', 'http://[::1]:3/cb', 'nonsense'], ['0 http://127.0.0.1:99/callback']],
    [{}, ['http://u@localhost:3/cb', 'http://localhost:3/cb#f'], ['0 http://127.0.0.1:99/callback']],
  ])('for %j and %j answers %j [receiver.host] [receiver.ports]', (options, registered, expected) => {
    const candidates = redirectCandidates(options, registered)
    expect(candidates.map(({ port, redirectUri }) => `${port} ${redirectUri(port || 99)}`)).toEqual(expected)
  })
})
