import { Agent } from 'node:https'
import axios, { type InternalAxiosRequestConfig } from 'axios'
import { clientCredentials, oauth, type ClientInformation } from 'axios-oauth2'
import fc from 'fast-check'
import * as oauth4webapi from 'oauth4webapi'
import type { AuthenticatedRequest, ClientAuthentication } from '../../lib/client-authentication/client-authentication'
import { clientSecretBasic, clientSecretBasicRaw } from '../../lib/client-authentication/client-secret-basic'
import { clientSecretPost } from '../../lib/client-authentication/client-secret-post'
import { startWorld, withMembers, type Entry, type World } from '../support/world'

const server = { issuer: 'https://as.example', token_endpoint: 'https://as.example/token' }

/** What a method adds to a request. */
async function addedBy(method: ClientAuthentication, id: string, secret: string): Promise<AuthenticatedRequest> {
  const request = { url: '', headers: {}, body: new URLSearchParams() }
  const client = { source: 'static', client_id: id, client_secret: secret } as const
  const random = (bytes: number): Uint8Array => new Uint8Array(bytes)
  await method(request, { client, issuer: server.issuer, now: Date.now, clockTolerance: 0, random })
  return request
}

const decoded = ({ headers }: AuthenticatedRequest): string =>
  Buffer.from(headers.Authorization!.replace('Basic ', ''), 'base64').toString()

describe('client_secret_basic', () => {
  const examples: readonly (readonly [string, string, string])[] = [
    ['plain-id_1.*', 'secret', 'plain-id_1.*:secret'],
    ['id:with', 'se%cr+et é', 'id%3Awith:se%25cr%2Bet+%C3%A9'],
    ['ünï', '€', '%C3%BCn%C3%AF:%E2%82%AC'],
  ]
  it.each(examples)('form-encodes %s and %s first [client-auth.basic] [DP-13] [R072]', async (id, secret, expected) => {
    expect(decoded(await addedBy(clientSecretBasic, id, secret))).toBe(expected)
  })

  it('sends them raw on demand [client-auth.basic] [DP-13]', async () => {
    expect(decoded(await addedBy(clientSecretBasicRaw, 'id%', 'é+ :'))).toBe('id%:é+ :')
  })

  it('reads back as what went in, for any text', async () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 })
    await fc.assert(
      fc.asyncProperty(text, text, async (id, secret) => {
        const [first = '', second = ''] = decoded(await addedBy(clientSecretBasic, id, secret)).split(':')
        const parse = (part: string): string | null => new URLSearchParams(`v=${part}`).get('v')
        expect([parse(first), parse(second)]).toEqual([id, secret])
      }),
    )
  })

  it('differs from oauth4webapi in - _ . * only, which browsers leave as they are [client-auth.basic]', async () => {
    const ours = decoded(await addedBy(clientSecretBasic, 'a-b_c.d*e:é', 'x y+z%'))
    const headers = new Headers()
    await oauth4webapi.ClientSecretBasic('x y+z%')(server, { client_id: 'a-b_c.d*e:é' }, new URLSearchParams(), headers)
    const theirs = Buffer.from(headers.get('authorization')!.replace('Basic ', ''), 'base64').toString()
    const literal = theirs.replace(/%(2D|5F|2E|2A)/g, (escape) => decodeURIComponent(escape))
    expect(ours).toBe(literal)
  })
})

describe('client_secret_post', () => {
  it('never sends an empty secret [client-auth.post-none]', async () => {
    const { body } = await addedBy(clientSecretPost, 'id', '')
    expect(body.toString()).toBe('client_id=id')
  })
})

describe('over the wire', () => {
  let world: World
  beforeEach(async () => {
    world = await startWorld({ authMethods: ['client_secret_basic', 'client_secret_post', 'none'] })
    world.answer('token', { body: { access_token: 'machine-token', token_type: 'Bearer' } })
  })
  afterEach(() => world.stop())

  const token = async (information: Partial<ClientInformation>): Promise<Entry> => {
    const clientInformation = { client_id: 'machine', ...information }
    await world.connect({ grant: clientCredentials(), clientInformation }).provider.getAccessToken()
    return world.requests('token').at(-1)!
  }

  const methods: readonly (readonly [string, Partial<ClientInformation>, readonly string[], boolean])[] = [
    ['Basic', { client_secret: 'secret' }, [], true],
    [
      'post',
      { client_secret: 'secret', token_endpoint_auth_method: 'client_secret_post' },
      ['client_id', 'client_secret'],
      false,
    ],
    ['none', {}, ['client_id'], false],
  ]
  it.each(methods)(
    '%s is one method [client-auth.one-method] [client-auth.post-none] [R003]',
    async (_name, information, members, basic) => {
      const { form, headers } = await token(information)
      expect([...form!.keys()].filter((name) => name.startsWith('client_'))).toEqual(members)
      expect(headers.authorization !== undefined).toBe(basic)
    },
  )

  it('refuses a method it cannot do before anything is sent [client-auth.registered-wins]', async () => {
    await expect(token({ token_endpoint_auth_method: 'client_secret_jwt', client_secret: 's' })).rejects.toMatchObject({
      code: 'OAUTH_REGISTRATION_FAILED',
    })
    expect(world.count('token')).toBe(0)
  })

  it('tries no other method with a code or refresh token after a failed authentication [client-auth.no-probing]', async () => {
    const client = world.addClient()
    const clientInformation = { client_id: client.client_id, client_secret: client.client_secret! }
    const { provider } = world.connect({ clientInformation })
    const body = { access_token: 'short-lived', token_type: 'Bearer', expires_in: 60, refresh_token: 'to-refresh' }
    world.answer('token', { body }, { times: 1 })
    await provider.authorize()
    world.answer('token', { status: 401, body: { error: 'invalid_client' } })
    await expect(provider.authorize()).rejects.toMatchObject({ oauthError: 'invalid_client' })
    world.clock.advance(60_000)
    await expect(provider.getAccessToken()).rejects.toMatchObject({ oauthError: 'invalid_client' })
    const sent = world.requests('token').map(({ form, headers }) => {
      return [form!.get('grant_type'), headers.authorization?.startsWith('Basic '), form!.has('client_secret')]
    })
    expect(sent).toEqual([
      ['authorization_code', true, false],
      ['authorization_code', true, false],
      ['refresh_token', true, false],
    ])
  })

  it('lets clientAuthentication have the last word [client-auth.hook]', async () => {
    const clientInformation = { client_id: 'machine', client_secret: 'secret' }
    const { provider } = world.connect({
      grant: clientCredentials(),
      clientInformation,
      clientAuthentication: ({ headers, body }, { client, issuer }) => {
        delete headers.Authorization
        headers['X-Proof'] = `${client.client_id} at ${issuer}`
        body.set('extra', '1')
      },
    })
    await provider.getAccessToken()
    const { headers, form } = world.requests('token')[0]!
    expect(headers.authorization).toBeUndefined()
    expect(headers['x-proof']).toBe(`machine at ${world.issuer}`)
    expect(form!.get('extra')).toBe('1')
  })

  describe.each(['tls_client_auth', 'self_signed_tls_client_auth'])('%s', (method) => {
    const alias = (): string => `${world.issuer}/mtls/token`
    const certified = { token_endpoint_auth_method: method } as const
    const aliased = (): (() => void) =>
      world.answer('as-metadata', withMembers({ mtls_endpoint_aliases: { token_endpoint: alias() } }))

    it('uses the aliases and sends client_id and no secret [client-auth.mtls]', async () => {
      aliased()
      world.answer('other', { body: { access_token: 'bound', token_type: 'Bearer' } })
      const clientInformation = { client_id: 'machine', client_secret: 'unused', ...certified }
      const { provider } = world.connect({ grant: clientCredentials(), clientInformation })
      expect(await provider.getAccessToken()).toBe('bound')
      const [entry] = world.requests('other')
      expect(entry!.url).toBe('/mtls/token')
      expect(entry!.headers.authorization).toBeUndefined()
      expect([...entry!.form!.keys()].filter((name) => name.startsWith('client_'))).toEqual(['client_id'])
      expect(world.count('token')).toBe(0)
    })

    it('uses the conventional endpoint where there is no alias [client-auth.mtls]', async () => {
      const { form } = await token(certified)
      expect(form!.get('client_id')).toBe('machine')
    })

    it('shows the certificate of the attached instance [client-auth.mtls]', async () => {
      const httpsAgent = new Agent({ cert: 'certificate' })
      const seen: InternalAxiosRequestConfig[] = []
      const instance = axios.create({
        httpsAgent,
        proxy: false,
        adapter: (config) => (seen.push(config), axios.getAdapter('http')(config)),
      })
      const clientInformation = { client_id: 'machine', ...certified }
      await oauth(instance, {
        serverUrl: world.serverUrl,
        grant: clientCredentials(),
        clientInformation,
      }).getAccessToken()
      const request = seen.find(({ url }) => url?.endsWith('/token'))
      expect(request?.httpsAgent).toBe(httpsAgent)
    })

    it('does not contact an alias that is no permitted URL [client-auth.mtls]', async () => {
      world.answer(
        'as-metadata',
        withMembers({ mtls_endpoint_aliases: { token_endpoint: 'http://evil.example/token' } }),
      )
      await expect(token(certified)).rejects.toMatchObject({ code: 'OAUTH_URL_FORBIDDEN' })
      expect(world.count('token')).toBe(0)
    })
  })

  it('leaves the aliases to clients with a certificate [client-auth.mtls]', async () => {
    world.answer('as-metadata', withMembers({ mtls_endpoint_aliases: { token_endpoint: 'http://evil.example/token' } }))
    await token({ client_secret: 'secret' })
    expect(world.count('token')).toBe(1)
  })
})
