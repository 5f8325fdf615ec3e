/**
 * P3: many requests at once when the one token of the session is no longer good, against a server of another process that
 * rotates refresh tokens and ends the session when one comes twice. The baseline is the least that can be sent, by bare
 * axios (by bare `fetch` for the MCP client): one refresh, then every request with a valid token; where nobody can know
 * that the token was revoked, every request with that one first.
 */
import { runProcess, serveProcess, startServer } from './child.mjs'
import { assertOneAxios, axios, libraries, openBare, openBareFetch, openMcpClient, ours } from './libraries.mjs'
import { pairedRounds, ratiosOf, summarize, wallClock } from './measure.mjs'

const goal = 1.3
const rounds = 15
const warmUp = 2
/** Seconds after which a library that is far off gets no further round. */
const patience = 20
const sizes = [100, 1_000]
/** Whether the client can know that the token is no longer good. */
const causes = ['expired', 'revoked']

const mcpClient = 'MCP client withOAuth'
const contenders = {
  ...Object.fromEntries(Object.entries(libraries).filter(([, { renews }]) => renews)),
  [mcpClient]: { open: openMcpClient, openBaseline: openBareFetch },
}

export const table = {
  id: 'P3',
  title: 'many requests at once, one token that is no longer good; refresh tokens rotate, reuse ends the session',
  goal: `all succeed, 1 refresh, no 401 (token revoked: at most one for each), wall ≤ ${goal} × the least possible`,
  columns: ['token', 'requests', 'succeeded', 'refreshes', 'reuses', '401s', 'wall', 'middle half'],
  cells: ({ cause, size, succeeded, refreshes, reuses, refused, ratio, low, high }) => [
    cause,
    size,
    succeeded,
    refreshes,
    reuses,
    refused,
    ratio.toFixed(2),
    `${low.toFixed(2)}–${high.toFixed(2)}`,
  ],
}

/** Measures every library that renews tokens; counts are those of the worst round. */
export async function measure({ report, quick }) {
  const rows = []
  for (const cause of causes) {
    for (const size of sizes) {
      for (const library of Object.keys(contenders)) {
        report(`${size} requests, token ${cause}, ${library}`)
        const options = { library, cause, size, rounds: quick ? 3 : rounds }
        rows.push({ library, ...(await runProcess(import.meta.url, options)) })
      }
    }
  }
  return { rows, met: rows.filter(({ library }) => library === ours).every(isMet) }
}

function isMet({ cause, size, succeeded, refreshes, refused, ratio }) {
  return succeeded === size && refreshes === 1 && refused <= (cause === 'expired' ? 0 : size) && ratio <= goal
}

async function measureOne({ library, cause, size, rounds }) {
  assertOneAxios()
  const { open, openBaseline = openBare } = contenders[library]
  const server = await startServer()
  const outcomes = []

  const baseline = async () => {
    const world = await createWorld(server, { lives: true })
    const revoked = openBaseline(world)
    if (cause === 'revoked') await revoke(server, world, revoked)
    return async () => {
      if (cause === 'revoked') await sendAll(revoked, size)
      await world.refresh()
      await sendAll(openBaseline(world), size)
    }
  }
  const candidate = async () => {
    const world = await createWorld(server, { lives: cause === 'revoked' })
    const instance = await open(world)
    if (cause === 'revoked') await revoke(server, world, instance)
    await server.ask({ name: 'counters' })
    return async () => {
      const succeeded = await sendAll(instance, size)
      return async () => void outcomes.push({ succeeded, ...(await server.ask({ name: 'counters' })) })
    }
  }

  try {
    await pairedRounds({ rounds: warmUp, clock: wallClock, baseline, candidate })
    const pairs = await pairedRounds({ rounds, clock: wallClock, patience, baseline, candidate })
    const { median: ratio, ...range } = summarize(ratiosOf(pairs))
    const { median: milliseconds } = summarize(pairs.map((pair) => pair.candidate))
    return { cause, size, ...worstOf(outcomes), ratio, ...range, milliseconds, rounds: pairs.length }
  } finally {
    server.stop()
  }
}

/** A session with tokens of the server, which have expired if it does not live. */
async function createWorld(server, { lives }) {
  const { tokens, code } = await server.ask({ name: 'session', lives })
  const world = {
    serverUrl: `${server.origin}/api`,
    tokens,
    expiresAt: Date.now() + tokens.expires_in * 1_000,
    create: (config) => axios.create({ baseURL: world.serverUrl, ...config }),
    refresh: async () => {
      const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: world.tokens.refresh_token })
      const { data } = await axios.post(`${server.origin}/token`, form)
      world.tokens = data
      world.expiresAt = Date.now() + data.expires_in * 1_000
    },
    signIn: { issuer: server.origin, code },
  }
  return world
}

/** The token was accepted once before it is revoked. */
async function revoke(server, world, instance) {
  await instance.get('/notes')
  await server.ask({ name: 'revoke', token: world.tokens.access_token })
}

/** Sends requests at once and gives how many succeeded. */
async function sendAll(instance, size) {
  const answers = await Promise.allSettled(Array.from({ length: size }, () => instance.get('/notes')))
  return answers.filter(({ status, value }) => status === 'fulfilled' && value.data.ok === true).length
}

function worstOf(outcomes) {
  const all = (name) => outcomes.map((outcome) => outcome[name])
  return {
    succeeded: Math.min(...all('succeeded')),
    refreshes: Math.max(...all('refreshes')),
    reuses: Math.max(...all('reuses')),
    refused: Math.max(...all('refused')),
  }
}

await serveProcess(import.meta.url, measureOne)
