import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import type { ReceiverSession } from '../../lib/receiver'
import { isListening, ReceiverBench, send, sendRaw, state, wait, type Answer } from './loopback-client'

describe('the callback server of loopbackReceiver()', () => {
  let bench: ReceiverBench
  let session: ReceiverSession
  let callback: Promise<URL>

  beforeEach(async () => {
    bench = new ReceiverBench()
    session = await bench.open()
    callback = wait(session)
    callback.catch(() => undefined)
  })
  afterEach(() => bench.closeAll())

  const query = (text: string): Promise<Answer> => send(session.redirectUri, { target: `/callback?${text}` })
  const good = (): Promise<Answer> => query(`code=good&state=${state}`)
  const expectStillWaiting = async (): Promise<void> => {
    expect((await good()).status).toBe(200)
    expect((await callback).searchParams.get('code')).toBe('good')
  }

  it('resolves with the callback URL, query untouched', async () => {
    expect((await query(`code=a%2Bb+c&iss=https%3A%2F%2Fas.example.com&state=${state}`)).status).toBe(200)
    const url = await callback
    expect(url.search).toBe(`?code=a%2Bb+c&iss=https%3A%2F%2Fas.example.com&state=${state}`)
    expect(url.origin + url.pathname).toBe(session.redirectUri)
  })

  it.each([
    ['no state', 'code=evil'],
    ['an empty state', 'code=evil&state='],
    ['another state', 'code=evil&state=attacker'],
    ['a prefix of the state', `code=evil&state=${state.slice(0, -1)}`],
    ['the state of another process', 'code=evil&state=Zr6Kc2Xs1Lb9Td3Fh5Gj7MpYt4nVw0q8'],
    ['an array of states', `code=evil&state[]=${state}`],
    ['nothing at all', ''],
  ])(
    'answers 400 to %s and keeps waiting [receiver.only-its-callback] [CB-01] [CB-02] [CB-03] [CB-33]',
    async (_, q) => {
      expect((await query(q)).status).toBe(400)
      await expectStillWaiting()
    },
  )

  it.each([
    ['broken percent-encoding', 'code=%zz&state=%ff'],
    ['broken percent-encoding beside the state', `code=%zz&state=${state}`],
    ['bytes that are no UTF-8', `code=%ff&state=${state}`],
    ['an encoded NUL', `code=a%00b&state=${state}`],
    ['a query of 64 KB', `code=${'x'.repeat(64 * 1024)}&state=${state}`],
  ])('answers 400 to %s [CB-23]', async (_, q) => {
    expect((await query(q)).status).toBe(400)
    await expectStillWaiting()
  })

  it.each([
    ['a NUL byte', 'GET /callback?code=a\0b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'],
    ['no HTTP', 'hello\r\n\r\n'],
    ['a code of 1 MB', `GET /callback?state=${state}&code=${'x'.repeat(2 ** 20)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`],
  ])('survives %s [CB-23] [CB-34]', async (_, text) => {
    const answer = await sendRaw(session.redirectUri, text)
    // Whoever is still writing when the connection ends may see the reset before the answer.
    expect(answer.slice(0, 12)).toMatch(/^(HTTP\/1\.1 400)?$/)
    await expectStillWaiting()
  })

  it('hands over a code with line breaks as it came, encoded [CB-34]', async () => {
    await query(`code=a%0D%0AX-Evil:%20b&state=${state}`)
    expect((await callback).search).toContain('code=a%0D%0AX-Evil:%20b')
  })

  it.each(['/favicon.ico', '/', '//callback', '/callback/../callback', '/callback%2f', '/callback/', '/Callback', '*'])(
    'answers 404 to the path %s and keeps waiting [receiver.only-its-callback] [CB-22]',
    async (path) => {
      expect((await send(session.redirectUri, { target: `${path}?code=evil&state=${state}` })).status).toBe(404)
      await expectStillWaiting()
    },
  )

  it.each(['http://evil.example', 'http://', 'http://[', 'https://evil.example:99999'])(
    'answers 404 to the absolute form at %s [CB-22]',
    async (origin) => {
      const target = `${origin}/callback?code=evil&state=${state}`
      const answer = await sendRaw(session.redirectUri, `GET ${target} HTTP/1.1\r\nHost: evil.example\r\n\r\n`)
      expect(answer).toMatch(/^HTTP\/1\.1 40[04] /)
      await expectStillWaiting()
    },
  )

  it.each(['POST', 'PUT', 'OPTIONS', 'HEAD', 'DELETE'])(
    'answers 405 to %s without CORS or private-network headers [receiver.only-its-callback] [CB-21]',
    async (method) => {
      const headers = { Origin: 'https://evil.example', 'Access-Control-Request-Private-Network': 'true' }
      const answer = await send(session.redirectUri, { method, headers, target: `/callback?code=e&state=${state}` })
      expect(answer.status).toBe(405)
      expect(answer.headers.allow).toBe('GET')
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
      await expectStillWaiting()
    },
  )

  it.each(['evil.example', '127.0.0.1', 'localhost', '127.0.0.1:1', 'localhost.evil.example:PORT', '[::1]:PORT'])(
    'answers 421 under the Host %s and keeps waiting [CB-20]',
    async (host) => {
      const headers = { Host: host.replace('PORT', new URL(session.redirectUri).port) }
      const target = `/callback?code=evil&state=${state}`
      expect((await send(session.redirectUri, { headers, target })).status).toBe(421)
      await expectStillWaiting()
    },
  )

  it('answers 421 to a second Host, and to none in HTTP/1.0 [CB-20]', async () => {
    const { port } = new URL(session.redirectUri)
    const line = `GET /callback?code=evil&state=${state}`
    const hosts = `Host: 127.0.0.1:${port}\r\nHost: evil.example\r\n`
    expect(await sendRaw(session.redirectUri, `${line} HTTP/1.1\r\n${hosts}\r\n`)).toMatch(/^HTTP\/1\.1 4(00|21) /)
    expect(await sendRaw(session.redirectUri, `${line} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 421 /)
    await expectStillWaiting()
  })

  it.each(['localhost:PORT', 'LOCALHOST:PORT', '127.0.0.1:PORT'])('answers under the Host %s', async (host) => {
    const headers = { Host: host.replace('PORT', new URL(session.redirectUri).port) }
    expect((await send(session.redirectUri, { headers, target: `/callback?code=c&state=${state}` })).status).toBe(200)
  })

  it('answers a repeat with 409, while and after the flow uses the first [CB-18] [CB-19]', async () => {
    const answers = await Promise.all([good(), good()])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    await callback
    expect((await good()).status).toBe(409)
  })

  it('gives both of two simultaneous callbacks their page although the flow closes at the first [CB-19]', async () => {
    const { port } = new URL(session.redirectUri)
    const sockets = [connect(Number(port), '127.0.0.1'), connect(Number(port), '127.0.0.1')]
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    const closed = callback.then(() => session.close())
    const answers = sockets.map(async (socket) => {
      socket.write(`GET /callback?code=good&state=${state} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      return chunk.toString('latin1').slice(9, 12)
    })
    expect((await Promise.all(answers)).sort()).toEqual(['200', '409'])
    await closed
  })

  it('takes a callback that repeats the right state, for the flow to refuse [CB-04]', async () => {
    await query(`code=c&state=attacker&state=${state}`)
    expect((await callback).searchParams.getAll('state')).toEqual(['attacker', state])
  })

  it('serves several states, each with its own callback [receiver.only-its-callback] [CB-32]', async () => {
    const other = wait(session, { state: 'other' })
    await query('code=second&state=other')
    await query(`code=first&state=${state}`)
    expect((await callback).searchParams.get('code')).toBe('first')
    expect((await other).searchParams.get('code')).toBe('second')
  })

  it('takes the right callback after 5000 wrong ones, with flat memory [CB-24]', async () => {
    const wrong = `GET /callback?code=evil&state=wrong HTTP/1.1\r\nHost: ${new URL(session.redirectUri).host}\r\n\r\n`
    const flood = async (count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent += 50) {
        await Promise.all(Array.from({ length: 50 }, () => sendRaw(session.redirectUri, wrong)))
      }
    }
    await flood(1000)
    const before = process.memoryUsage().heapUsed
    await flood(4000)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 2 ** 20)
    await expectStillWaiting()
  }, 60_000)

  it('is not held up by 200 silent sockets and a dripping one, and closes within a second [CB-25] [receiver.closes]', async () => {
    const port = Number(new URL(session.redirectUri).port)
    const sockets: Socket[] = Array.from({ length: 201 }, () => connect(port, '127.0.0.1').on('error', () => undefined))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    sockets[200]?.write(`GET /callback?state=${state} HTTP/1.1\r\nHo`)
    await expectStillWaiting()
    const ends = sockets.map((socket) => once(socket, 'close'))
    const start = performance.now()
    await session.close()
    expect(performance.now() - start).toBeLessThan(1000)
    await Promise.all(ends)
    expect(await isListening(session.redirectUri)).toBe(false)
  })

  it.each([
    ['success', `code=c0de-secret&state=${state}`, 200, 'Response received'],
    ['an error', `error=<script>alert(1)</script>&error_description=phish&state=${state}`, 200, 'not completed'],
    ['an encoded error', `error=%3Cscript%3E&error_uri=https://evil.example&state=${state}`, 200, 'not completed'],
    ['an unknown state', 'error=<script>alert(1)</script>&state=unknown-state', 400, 'No sign-in is waiting'],
    ['neither', `state=${state}`, 200, 'not completed'],
  ])('shows a static page for %s [receiver.page-escaped] [CB-14] [CB-15] [CB-29]', async (_, q, status, text) => {
    const { headers, body, status: shown } = await query(q)
    expect(shown).toBe(status)
    expect(body).toContain(text)
    for (const secret of [state, 'c0de-secret', 'unknown-state', 'alert', '<script', 'phish', 'evil']) {
      expect(body + JSON.stringify(headers)).not.toContain(secret)
    }
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/)
    expect(headers).toMatchObject({
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-type': 'text/html; charset=utf-8',
    })
  })

  it.each(['127.0.0.1', 'localhost'] as const)(
    'binds 127.0.0.1 only, also for host %s [receiver.bound-uri] [CB-28]',
    async (host) => {
      const other = await bench.open(bench.receiver({ host }))
      const uri = new URL(other.redirectUri)
      expect(uri.hostname).toBe(host)
      expect(await isListening(other.redirectUri)).toBe(true)
      expect(await isListening(other.redirectUri, '127.0.0.2')).toBe(false)
      expect(await isListening(other.redirectUri, '::1')).toBe(false)
    },
  )

  it('closes the listener within 100 ms of an abort, and refuses a late callback [AB-05] [flow.abort] [receiver.closes]', async () => {
    const abort = new AbortController()
    const other = await bench.open()
    const waiting = wait(other, { signal: abort.signal, state: 'aborted' })
    abort.abort(new Error('stopped by the person'))
    await expect(waiting).rejects.toThrow('stopped by the person')
    expect((await send(other.redirectUri, { target: '/callback?code=late&state=aborted' })).status).toBe(400)
    const start = performance.now()
    await other.close()
    expect(performance.now() - start).toBeLessThan(100)
    expect(await isListening(other.redirectUri)).toBe(false)
  })

  it('rejects at once with the reason of a signal that has already aborted [flow.abort]', async () => {
    await expect(wait(session, { state: 'x', signal: AbortSignal.abort(new Error('early')) })).rejects.toThrow('early')
  })

  it('rejects who still waits when it is closed, and closes once [receiver.closes]', async () => {
    await Promise.all([session.close(), session.close()])
    await expect(callback).rejects.toMatchObject({ code: 'OAUTH_ABORTED', phase: 'authorization' })
    await expect(wait(session)).rejects.toMatchObject({ code: 'OAUTH_ABORTED' })
  })
})
