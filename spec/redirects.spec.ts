import type { AxiosRequestConfig } from 'axios'
import { startWorld, type Connection, type ConnectOptions, type Echo, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

async function signedIn(o: ConnectOptions = {}, config: AxiosRequestConfig = {}): Promise<Connection> {
  const connection = world.connect(o, config)
  await connection.api.get('')
  world.forget()
  return connection
}

const redirect = (to: string, status = 302): string =>
  `/redirect?${new URLSearchParams({ to, status: String(status) })}`

/** Headers that a stranger must not see, whoever set them. */
const confidential = {
  'Mcp-Session-Id': 'session-0123456789',
  'X-API-Key': 'key-0123456789',
  Cookie: 'sid=0123456789',
  'Proxy-Authorization': 'Basic cHJveHk=',
}

describe('a redirect within the resource', () => {
  it.each([301, 302, 303, 307, 308])('keeps the token at status %i [attach.redirects]', async (status) => {
    const { api } = await signedIn()
    for (const to of [`${world.serverUrl}/`, '/mcp/other?a=1', 'x/../y']) {
      const { data } = await api.get<Echo>(redirect(to, status))
      expect(data.method).toBe('GET')
    }
    expect(world.order()).toEqual([
      ...['rs GET /mcp/redirect', 'rs GET /mcp/'],
      ...['rs GET /mcp/redirect', 'rs GET /mcp/other'],
      ...['rs GET /mcp/redirect', 'rs GET /mcp/y'],
    ])
    for (const { headers } of world.journal) expect(headers.authorization).toBe(`Bearer ${world.liveAccessToken()}`)
  })

  it('keeps method and body of a POST at status 307 [attach.redirects]', async () => {
    const { api } = await signedIn()
    const { data } = await api.post<Echo>(redirect('/mcp/', 307), { a: 1 }, { headers: confidential })
    expect([data.method, Buffer.from(data.body, 'base64').toString()]).toEqual(['POST', '{"a":1}'])
    expect(data.headers).toMatchObject({ 'mcp-session-id': confidential['Mcp-Session-Id'] })
  })

  it('whose target refuses the token leads to one renewal and starts again [attach.redirects]', async () => {
    const { api } = await signedIn()
    world.answer(
      'api',
      { status: 307, headers: { Location: '/mcp/there' } },
      { when: ({ url }) => url === '/mcp/here' },
    )
    world.revokeAccessTokens()
    await api.post('/here', 'text')
    expect(world.order()).toEqual([
      ...['rs POST /mcp/here', 'rs POST /mcp/there', 'as POST /token'],
      ...['rs POST /mcp/here', 'rs POST /mcp/there'],
    ])
  })

  it('reaches the caller where he follows none [attach.redirects] [RQ-16]', async () => {
    const { api } = await signedIn()
    const config: AxiosRequestConfig = { maxRedirects: 0, validateStatus: () => true }
    await expect(api.get(redirect('/mcp/x'), config)).resolves.toMatchObject({ status: 302 })
    await expect(api.get(redirect(world.origin.evil), config)).resolves.toMatchObject({ status: 302 })
    expect(world.order()).toEqual(['rs GET /mcp/redirect', 'rs GET /mcp/redirect'])
  })
})

describe('a redirect out of the resource', () => {
  const targets: readonly (readonly [string, (w: World) => string, string])[] = [
    ['another host [RQ-01]', (w) => `${w.origin.evil}/x`, 'evil GET /x'],
    ['another port of the host [RQ-03]', (w) => `${w.origin.as}/x`, 'as GET /x'],
    ['another path of the origin', (w) => `${w.origin.rs}/outside`, 'rs GET /outside'],
  ]
  it.each(targets)('to %s is followed without any credential [attach.redirects]', async (_name, target, arrived) => {
    const { api } = await signedIn()
    for (const config of [{}, { maxRedirects: 21 }]) {
      world.forget()
      await api.get(redirect(target(world)), { ...config, headers: confidential, validateStatus: null })
      expect(world.order()).toEqual(['rs GET /mcp/redirect', arrived])
      const [, { headers } = { headers: {} }] = world.journal
      expect(Object.keys(headers).filter((name) => /auth|cookie|session|^x-/.test(name))).toEqual([])
      expect(world.leaksIn(headers)).toEqual([])
    }
  })

  it.each([
    ['POST', 307],
    ['POST', 308],
    ['PUT', 307],
    ['PUT', 302],
    ['DELETE', 307],
  ])(
    'of a %s at status %i is not followed, and its body stays here [attach.redirects] [RQ-02]',
    async (method, status) => {
      const { api } = await signedIn()
      const sending = api.request({ method, url: redirect(`${world.origin.evil}/x`, status), data: 'confidential' })
      await expect(sending).rejects.toMatchObject({
        code: 'OAUTH_REDIRECT_REFUSED',
        endpoint: `${world.origin.evil}/x`,
      })
      expect(world.order()).toEqual([`rs ${method} /mcp/redirect`])
    },
  )

  it('of a POST that becomes a GET is followed without body and credentials [attach.redirects] [RQ-02]', async () => {
    const { api } = await signedIn()
    await api.post(redirect(`${world.origin.evil}/x`, 303), 'confidential', { headers: confidential })
    expect(world.order()).toEqual(['rs POST /mcp/redirect', 'evil GET /x'])
    expect(world.journal[1]?.body).toHaveLength(0)
    expect(world.journal[1]?.headers).not.toHaveProperty('authorization')
  })

  it('to http beyond loopback, or no web address at all, is not followed [attach.redirects] [RQ-04]', async () => {
    const { api } = await signedIn()
    for (const target of [
      'http://evil.example/x',
      'http://192.0.2.1/x',
      'ftp://127.0.0.1/x',
      'file:///etc/passwd',
      'data:text/plain,x',
    ]) {
      await expect(api.get(redirect(target))).rejects.toMatchObject({ code: 'OAUTH_REDIRECT_REFUSED' })
    }
    expect(new Set(world.order())).toEqual(new Set(['rs GET /mcp/redirect']))
  })

  it('does not come back to the token by a second redirect [attach.redirects] [RQ-01]', async () => {
    const { api } = await signedIn()
    world.answer('other', { status: 302, headers: { Location: `${world.serverUrl}/x` } })
    await expect(api.get(redirect(`${world.origin.evil}/back`))).rejects.toMatchObject({ isAxiosError: true })
    expect(world.requests('other')[0]?.headers).not.toHaveProperty('authorization')
  })

  it('is not opened up by the caller’s own beforeRedirect [attach.redirects] [RQ-16]', async () => {
    const { api } = await signedIn()
    const token = world.liveAccessToken()
    const seen: unknown[] = []
    const beforeRedirect = (options: Record<string, unknown>): void => {
      seen.push(options.href)
      options.headers = { ...(options.headers as object), Authorization: `Bearer ${token}`, 'x-own': '1' }
    }
    await api.get(redirect(`${world.origin.evil}/x`), { beforeRedirect })
    expect(seen).toEqual([`${world.origin.evil}/x`])
    expect(world.journal[1]?.headers).toMatchObject({ 'x-own': '1' })
    expect(world.leaksIn(world.journal[1]?.headers)).toEqual([])
    const within = jest.fn()
    await api.get(redirect('/mcp/x'), { beforeRedirect: within })
    expect(within).toHaveBeenCalledTimes(1)
  })

  it('ends with the stranger’s answer: his 401 and 403 start nothing [attach.redirects] [RQ-01] [challenge.relevant-status]', async () => {
    const { api } = await signedIn()
    const challenge = `resource_metadata="${world.origin.evil}/.well-known/oauth-protected-resource/mcp"`
    for (const [status, parameters] of [
      [401, challenge],
      [403, `error="insufficient_scope", scope="all", ${challenge}`],
    ] as const) {
      world.forget()
      world.answer('other', { status, headers: { 'WWW-Authenticate': `Bearer ${parameters}` } }, { times: 1 })
      await expect(api.get(redirect(`${world.origin.evil}/x`))).rejects.toMatchObject({ response: { status } })
      expect(world.order()).toEqual(['rs GET /mcp/redirect', 'evil GET /x'])
    }
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('of a request without a token starts no sign-in with the stranger either [attach.redirects] [RQ-01]', async () => {
    const { api } = world.connect()
    world.answer('api', { status: 302, headers: { Location: `${world.origin.evil}/x` } }, { times: 1 })
    const challenge = `Bearer resource_metadata="${world.origin.evil}/.well-known/oauth-protected-resource/mcp"`
    world.answer('other', { status: 401, headers: { 'WWW-Authenticate': challenge } })
    await expect(api.get('')).rejects.toMatchObject({ response: { status: 401 } })
    expect(world.order()).toEqual(['rs GET /mcp', 'evil GET /x'])
  })
})

describe('over the fetch adapter', () => {
  it.each([302, 307])(
    'a redirect of status %i with a token is not followed, wherever it leads [attach.redirects] [RQ-20]',
    async (status) => {
      const { api } = await signedIn({}, { adapter: 'fetch' })
      for (const to of [world.origin.evil, `${world.serverUrl}/x`]) {
        for (const fetchOptions of [{}, { redirect: 'follow' as const }]) {
          world.forget()
          const sending = api.post(redirect(to, status), 'confidential', { fetchOptions, headers: confidential })
          await expect(sending).rejects.toMatchObject({ response: { status } })
          expect(world.order()).toEqual(['rs POST /mcp/redirect'])
        }
      }
    },
  )
})
