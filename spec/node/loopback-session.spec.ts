import { PassThrough } from 'node:stream'
import { authorizationUrl, ReceiverBench, send, state, wait } from './loopback-client'

describe('a session of loopbackReceiver()', () => {
  let bench: ReceiverBench
  beforeEach(() => (bench = new ReceiverBench()))
  afterEach(() => bench.closeAll())

  const occurrences = (text: string): number => bench.terminal.shown.split(text).length - 1

  describe('showing the URL', () => {
    it('prints it where no browser is to be opened [flow.abort]', async () => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      expect(bench.terminal.shown).toContain(`Open this address in a browser to sign in:\n\n  ${authorizationUrl}\n`)
    })

    it('calls a launcher of the application with the serialised URL, and prints no URL [authz-url.safe-to-open]', async () => {
      const opened: string[] = []
      const session = await bench.open(bench.receiver({ openBrowser: (url) => void opened.push(url) }))
      void session.redirectHandler('https://as.example.com/a?q="x"')
      expect(opened).toEqual(['https://as.example.com/a?q=%22x%22'])
      expect(bench.terminal.shown).not.toContain('https://as.example.com')
    })

    it.each<[string, () => void | Promise<void>]>([
      [
        'throws',
        () => {
          throw new Error('no browser')
        },
      ],
      ['rejects', () => Promise.reject(new Error('no browser'))],
    ])('tells the URL once and keeps waiting when the launcher %s [CB-30] [flow.abort]', async (_, openBrowser) => {
      const session = await bench.open(bench.receiver({ openBrowser }))
      void session.redirectHandler(authorizationUrl)
      await bench.terminal.sees('could not be opened')
      expect(occurrences(authorizationUrl)).toBe(1)
      const callback = wait(session)
      await send(session.redirectUri, { target: `/callback?code=c&state=${state}` })
      expect((await callback).searchParams.get('code')).toBe('c')
    })

    it('does not wait for a launcher that hangs [CB-30]', async () => {
      const session = await bench.open(bench.receiver({ openBrowser: () => new Promise<void>(() => undefined) }))
      expect(session.redirectHandler(authorizationUrl)).toBeUndefined()
      const callback = wait(session)
      await send(session.redirectUri, { target: `/callback?code=c&state=${state}` })
      expect((await callback).searchParams.get('code')).toBe('c')
    })

    it('says nothing of a launcher that fails when all is over [CB-30]', async () => {
      let fail: (reason: Error) => void = () => undefined
      const launch = new Promise<void>((_, reject) => (fail = reject))
      const session = await bench.open(bench.receiver({ openBrowser: () => launch }))
      void session.redirectHandler(authorizationUrl)
      await session.close()
      fail(new Error('closed by the person'))
      await launch.catch(() => undefined)
      expect(bench.terminal.shown).not.toContain('could not be opened')
    })

    it.each(['javascript:alert(1)', 'file:///etc/passwd', '--version', 'https://u:p@as.example.com/'])(
      'refuses %s before anything is opened or printed [AS-10] [AS-12] [AS-15] [authz-url.safe-to-open]',
      async (url) => {
        const openBrowser = jest.fn()
        const session = await bench.open(bench.receiver({ openBrowser }))
        expect(() => session.redirectHandler(url)).toThrow(expect.objectContaining({ code: 'OAUTH_URL_FORBIDDEN' }))
        expect(openBrowser).not.toHaveBeenCalled()
        expect(bench.terminal.shown).toBe('')
      },
    )

    it('keeps a callback that comes before anybody waits for it [receiver.only-its-callback]', async () => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      expect((await send(session.redirectUri, { target: `/callback?code=c&state=${state}` })).status).toBe(200)
      expect((await wait(session)).searchParams.get('code')).toBe('c')
    })
  })

  describe('pasting the callback [receiver.paste-back]', () => {
    const good = `code=pasted&state=${state}`

    it.each([
      ['the URL', (uri: string) => `${uri}?${good}\n`],
      ['the URL after CR', (uri: string) => `${uri}?${good}\r`],
      ['the URL in quotes, blanks around', (uri: string) => `  "${uri}?${good}" \r\n`],
      ['the URL with a fragment', (uri: string) => `${uri}?${good}#_=_\n`],
      ['the URL in bracketed paste', (uri: string) => `\u001b[200~${uri}?${good}\u001b[201~\n`],
      ['the query', () => `${good}\n`],
      ['the query with its mark', () => `?${good}\n`],
    ])('takes %s [receiver.paste-back]', async (_, text) => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      const callback = wait(session)
      bench.terminal.type(text(session.redirectUri))
      const url = await callback
      expect(url.href).toBe(`${session.redirectUri}?${good}`)
    })

    it.each([
      ['text', 'hello'],
      ['a code alone', 'abc123'],
      ['another state', 'code=evil&state=attacker'],
      ['broken encoding', `code=%zz&state=${state}`],
      ['a line of 100 KB', `code=${'x'.repeat(100 * 1024)}&state=${state}`],
    ])('says so of %s, repeats nothing of it, and keeps waiting [receiver.paste-back]', async (_, text) => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      const callback = wait(session)
      bench.terminal.type(`\n${text}\n`)
      await bench.terminal.sees('not the answer to this sign-in')
      expect(occurrences('not the answer')).toBe(1)
      expect(bench.terminal.shown).not.toContain(text)
      bench.terminal.type(`${good}\n`)
      expect((await callback).searchParams.get('code')).toBe('pasted')
    })

    it('takes a paste that comes in pieces', async () => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      const callback = wait(session)
      for (const piece of [good.slice(0, 7), good.slice(7), '\n']) bench.terminal.type(piece)
      expect((await callback).searchParams.get('code')).toBe('pasted')
    })

    it('leaves the rest of the input to the next reader, and the input paused [receiver.closes]', async () => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      const callback = wait(session)
      bench.terminal.type(`${good}\nnext command ä\n`)
      await callback
      const { input } = bench.terminal
      expect(input.isPaused()).toBe(true)
      expect(String(input.read())).toBe('next command ä\n')
      expect(['data', 'end', 'error'].flatMap((event) => input.listeners(event).filter(isOurs))).toEqual([])
    })

    it('lets the browser win: then a paste is left to the next reader [receiver.paste-back]', async () => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      const callback = wait(session)
      await send(session.redirectUri, { target: `/callback?code=browser&state=${state}` })
      expect((await callback).searchParams.get('code')).toBe('browser')
      bench.terminal.type('next command\n')
      expect(String(bench.terminal.input.read())).toBe('next command\n')
    })

    it('answers the browser that comes second with 409 [CB-18]', async () => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      const callback = wait(session)
      bench.terminal.type(`${good}\n`)
      await callback
      expect((await send(session.redirectUri, { target: `/callback?${good}` })).status).toBe(409)
    })

    it('reads on while another sign-in of the session waits', async () => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      void session.redirectHandler('https://as.example.com/authorize?state=two')
      const [first, second] = [wait(session), wait(session, { state: 'two' })]
      bench.terminal.type(`${good}\ncode=2&state=two\n`)
      expect((await first).searchParams.get('code')).toBe('pasted')
      expect((await second).searchParams.get('code')).toBe('2')
    })

    it.each(['abort', 'close'])('stops reading on %s [receiver.closes] [AB-05]', async (how) => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      const abort = new AbortController()
      const ended = expect(wait(session, { signal: abort.signal })).rejects.toThrow()
      if (how === 'abort') abort.abort(new Error('aborted'))
      else await session.close()
      await ended
      expect(bench.terminal.input.isPaused()).toBe(true)
    })

    it.each(['end', 'error'])('keeps waiting for the browser after the %s of the input', async (event) => {
      const session = await bench.open()
      void session.redirectHandler(authorizationUrl)
      const callback = wait(session)
      bench.terminal.input.emit(event, new Error('EIO'))
      await send(session.redirectUri, { target: `/callback?code=browser&state=${state}` })
      expect((await callback).searchParams.get('code')).toBe('browser')
    })

    it('does not touch an input that is no terminal, or that somebody reads', async () => {
      const pipe = new PassThrough()
      const busy = Object.assign(new PassThrough(), { isTTY: true })
      busy.on('data', () => undefined)
      for (const input of [pipe, busy]) {
        const before = input.listenerCount('data')
        const session = await bench.open(bench.receiver({ input }))
        void session.redirectHandler(authorizationUrl)
        expect(input.listenerCount('data')).toBe(before)
      }
      expect(bench.terminal.shown).not.toContain('paste')
    })
  })
})

function isOurs(listener: unknown): boolean {
  return typeof listener === 'function' && ['read', 'stop'].includes(listener.name)
}
