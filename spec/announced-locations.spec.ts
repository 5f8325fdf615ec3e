import { startWorld, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

/** The next request to the API is refused with these lines of `WWW-Authenticate`. */
function challenge(...lines: readonly string[]): void {
  const headers = lines.length === 0 ? {} : { 'WWW-Authenticate': lines }
  world.answer('api', { status: 401, headers, body: 'refused' }, { times: 1 })
}

const flow = ['api 401', 'prm 200', 'as-metadata 200', 'register 201', 'authorize 302', 'token 200', 'api 200']

describe('resource_metadata', () => {
  it('that is a path is resolved against the response that carried it [challenge.relative-url WA-24]', async () => {
    world.answer('other', { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } })
    challenge('Bearer resource_metadata="/custom/prm?x=1"')
    await world.connect().api.get('/deep/er?a=b')
    expect(world.requests('other').map(({ server, url }) => `${server} ${url}`)).toEqual(['rs /custom/prm?x=1'])
  })

  it.each([
    'javascript:alert(1)',
    'blob:https://x/1',
    '//EVIL/prm',
    'https:EVIL',
    'http:/EVIL/prm',
    '\\\\\\\\EVIL\\\\prm',
    '/\\\\EVIL/prm',
    'unix:/var/run/docker.sock',
    'ftp://x/',
    'file:///etc/passwd',
    'data:application/json,{}',
    'prm.json',
    '',
  ])('%j is not asked; the well-known locations are [challenge.relative-url WA-21 WA-22 WA-25]', async (value) => {
    challenge(`Bearer resource_metadata="${value.replace('EVIL', new URL(world.origin.evil).host)}"`)
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.steps()).toEqual(flow)
  })

  it('with userinfo is never asked, and no Basic header is made of it [WA-23]', async () => {
    const host = new URL(world.origin.rs).host
    challenge(`Bearer resource_metadata="http://x@${host}/.well-known/oauth-protected-resource/mcp"`)
    const { api, provider } = world.connect()
    const refused: unknown[] = []
    provider.on('urlRefused', (event) => refused.push(event))
    await api.get('')
    expect(refused).toEqual([expect.objectContaining({ code: 'OAUTH_URL_FORBIDDEN' })])
    expect(world.requests('prm').map(({ headers }) => headers.authorization)).toEqual([undefined])
  })
})

describe('a later challenge', () => {
  it.each<[string, readonly string[]]>([
    ['has neither', ['Bearer error="invalid_token"']],
    ['is of another scheme', ['Negotiate']],
    ['is missing', []],
  ])('that %s does not erase the location announced before [challenge.no-erase]', async (_name, second) => {
    world.answer('other', { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } })
    const { api } = world.connect()
    world.user.deny()
    challenge(`Bearer resource_metadata="${world.origin.rs}/custom", scope="read"`)
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED' })
    world.user.approve()
    challenge(...second)
    await api.get('')
    expect(world.requests('other').map(({ url }) => url)).toEqual(['/custom', '/custom'])
    expect(world.count('prm')).toBe(0)
  })
})
