/**
 * What is measured: one entry per library, each set up the way its own documentation shows.
 *
 * `open(world)` gives an axios instance that the library authorizes. A world is one session at one server: `create(config)`
 * makes a bare instance, `tokens` are the session's, `refresh()` renews them, `expiresAt` is when they expire; with
 * `signIn` a provider of ours takes the session over. `renews`: the library has to do with renewing tokens at all.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { withOAuth } from '@modelcontextprotocol/client'
import axios from 'axios'
import { createAuthRefresh } from 'axios-auth-refresh'
import { setupCache } from 'axios-cache-interceptor'
import { applyAuthTokenInterceptor, setAuthTokens } from 'axios-jwt'
import axiosRetry from 'axios-retry'
import tokenInterceptor from 'axios-token-interceptor'
import { oauth } from '../dist/index.js'

export const ours = 'axios-oauth2'

export const libraries = {
  [ours]: { renews: true, open: openOurs },
  'hand-written interceptor': { renews: true, open: openHandWritten },
  'axios-auth-refresh 5': { renews: true, open: openAuthRefresh },
  'axios-token-interceptor': { renews: true, open: openTokenInterceptor },
  'axios-jwt 4': { renews: true, open: openJwt },
  'axios-retry 4': { renews: false, open: openRetry },
  'axios-cache-interceptor': { renews: false, open: openCache },
}

/**
 * Authorizes `fetch`, not axios: measured where the baseline can be `fetch` too. Gives what has an instance's `get`. The
 * provider is complete: it keeps what was discovered and forgets what the server rejects.
 */
export function openMcpClient(world) {
  const { issuer } = world.signIn
  let tokens = { ...world.tokens, issuer }
  let discovered
  const provider = {
    redirectUrl: 'http://127.0.0.1/callback',
    clientMetadata: { redirect_uris: ['http://127.0.0.1/callback'] },
    clientInformation: () => ({ client_id: 'bench', issuer }),
    tokens: () => tokens,
    saveTokens: (renewed) => void (tokens = renewed),
    invalidateCredentials: (kind) => void (tokens = kind === 'tokens' || kind === 'all' ? undefined : tokens),
    discoveryState: () => discovered,
    saveDiscoveryState: (state) => void (discovered = state),
    redirectToAuthorization: () => {},
    saveCodeVerifier: () => {},
    codeVerifier: () => '',
  }
  return { get: getBy(world, withOAuth(provider, world.serverUrl)(fetch)) }
}

/** Bare `fetch` with the token as a constant, the baseline of the above. */
export function openBareFetch(world) {
  const headers = { Authorization: `Bearer ${world.tokens.access_token}` }
  return { get: getBy(world, (url) => fetch(url, { headers })) }
}

function getBy(world, request) {
  return async (path) => {
    const response = await request(`${world.serverUrl}${path}`)
    if (!response.ok) throw new Error(`status ${response.status}`)
    return { status: response.status, data: await response.json() }
  }
}

/** Two copies of axios in one process would be compared with each other. */
export function assertOneAxios() {
  const required = createRequire(import.meta.url).resolve
  const home = required('axios/package.json')
  for (const peer of ['axios-auth-refresh', 'axios-cache-interceptor', 'axios-jwt', 'axios-retry']) {
    assert.equal(createRequire(required(peer)).resolve('axios/package.json'), home, `${peer} has an axios of its own`)
  }
}

async function openOurs(world) {
  const { issuer, code } = world.signIn
  let state
  const instance = world.create()
  const provider = oauth(instance, {
    serverUrl: world.serverUrl,
    authorizationServerMetadata: {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none'],
    },
    clientInformation: { client_id: 'bench', redirect_uris: ['http://127.0.0.1/callback'] },
    redirectHandler: (url) => void (state = new URL(url).searchParams.get('state')),
    callbackHandler: () => Promise.resolve({ code, state, iss: issuer }),
  })
  await provider.authorize()
  return instance
}

function openHandWritten(world) {
  const instance = sendingToken(world)
  let renewal
  instance.interceptors.response.use(undefined, async (error) => {
    const { config, response } = error
    if (response?.status !== 401 || config.sentAgain) throw error
    renewal ??= world.refresh().finally(() => (renewal = undefined))
    await renewal
    return instance({ ...config, sentAgain: true })
  })
  return instance
}

function openAuthRefresh(world) {
  const instance = sendingToken(world)
  createAuthRefresh(instance, async (failed) => {
    await world.refresh()
    failed.response.config.headers.Authorization = `Bearer ${world.tokens.access_token}`
  })
  return instance
}

function openTokenInterceptor(world) {
  const instance = world.create()
  const load = async () => {
    if (Date.now() >= world.expiresAt) await world.refresh()
    return world.tokens
  }
  const getToken = tokenInterceptor.tokenCache(load, { getMaxAge: () => world.expiresAt - Date.now() })
  const headerFormatter = (tokens) => `Bearer ${tokens.access_token}`
  instance.interceptors.request.use(tokenInterceptor({ getToken, headerFormatter }))
  return instance
}

async function openJwt(world) {
  const instance = world.create()
  const entries = new Map()
  const getStorage = () => ({
    get: async (key) => entries.get(key) ?? null,
    set: async (key, value) => void entries.set(key, value),
    remove: async (key) => void entries.delete(key),
  })
  const requestRefresh = async () => {
    await world.refresh()
    return { accessToken: world.tokens.access_token, refreshToken: world.tokens.refresh_token }
  }
  applyAuthTokenInterceptor(instance, { requestRefresh, getStorage })
  await setAuthTokens({ accessToken: world.tokens.access_token, refreshToken: world.tokens.refresh_token })
  return instance
}

/** Knows nothing of tokens; shows what a plugin of another kind costs. */
function openRetry(world) {
  const instance = world.create(withToken(world))
  axiosRetry(instance)
  return instance
}

/** The same; it may not answer from its cache, as every request is to be sent. */
function openCache(world) {
  return setupCache(world.create(withToken(world)), { methods: [] })
}

function withToken(world) {
  return { headers: { Authorization: `Bearer ${world.tokens.access_token}` } }
}

function sendingToken(world) {
  const instance = world.create()
  instance.interceptors.request.use((config) => {
    config.headers.Authorization = `Bearer ${world.tokens.access_token}`
    return config
  })
  return instance
}

/** Bare axios with the token as a constant. */
export function openBare(world) {
  return world.create(withToken(world))
}

export { axios }
