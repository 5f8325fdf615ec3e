/**
 * P1: what a request with a valid token costs, over bare axios with a constant header. The adapter answers at once, so
 * that nothing but the work in front of it is measured; it checks the header of every request.
 *
 * Each library has processes of its own, in which nobody else's objects have been through axios.
 */
import assert from 'node:assert/strict'
import { runProcess, serveProcess } from './child.mjs'
import { assertOneAxios, axios, libraries, openBare, ours } from './libraries.mjs'
import { pairedRounds, processorClock, ratiosOf, summarize } from './measure.mjs'

const goal = 1.03
const processes = 3
const rounds = 20
const warmUp = 4
const requestsPerRound = 2_000
/** Bare axios against itself: what it shows beside 1 is noise. */
const control = 'bare axios (control)'

const serverUrl = 'https://api.example.com/v1'
const issuer = 'https://login.example.com'

export const table = {
  id: 'P1',
  title: 'cost of a request with a valid token, × bare axios with a constant header',
  goal: `≤ ${goal}`,
  columns: ['ratio', 'middle half', 'µs'],
  cells: ({ ratio, low, high, microseconds }) => [
    ratio.toFixed(3),
    `${low.toFixed(3)}–${high.toFixed(3)}`,
    microseconds.toFixed(1),
  ],
}

/** Measures every library, in several processes each: how code was compiled differs from one to the next. */
export async function measure({ report, quick }) {
  const names = [...Object.keys(libraries), control]
  const measured = Object.fromEntries(names.map((name) => [name, { ratios: [], microseconds: [] }]))
  for (let turn = 1; turn <= (quick ? 1 : processes); turn += 1) {
    for (const library of names) {
      report(`process ${turn}, ${library}`)
      const { ratios, microseconds } = await runProcess(import.meta.url, { library })
      measured[library].ratios.push(...ratios)
      measured[library].microseconds.push(...microseconds)
    }
  }
  const rows = names.map((library) => {
    const { ratios, microseconds } = measured[library]
    const { median: ratio, ...range } = summarize(ratios)
    return { library, ratio, ...range, microseconds: summarize(microseconds).median, rounds: ratios.length }
  })
  return { rows, met: rows.every(({ library, ratio }) => library !== ours || ratio <= goal) }
}

async function measureOne({ library }) {
  assertOneAxios()
  const world = createWorld()
  const bare = openBare(world)
  const instance = library === control ? openBare(world) : await libraries[library].open(world)
  const sides = {
    clock: processorClock,
    baseline: () => () => sendAll(bare),
    candidate: () => () => sendAll(instance),
  }
  await pairedRounds({ rounds: warmUp, ...sides })
  const pairs = await pairedRounds({ rounds, ...sides })
  assert.equal(world.sent.all, 2 * (rounds + warmUp) * requestsPerRound)
  assert.equal(world.sent.authorized, world.sent.all)
  return {
    ratios: ratiosOf(pairs),
    microseconds: pairs.map(({ candidate }) => (candidate / requestsPerRound) * 1_000),
  }
}

async function sendAll(instance) {
  for (let n = 0; n < requestsPerRound; n += 1) await instance.get('/notes')
}

/** A session whose token is valid for an hour. */
function createWorld() {
  const exp = Math.floor(Date.now() / 1_000) + 3_600
  const jwt = ['{"alg":"none"}', `{"exp":${exp}}`].map((text) => Buffer.from(text).toString('base64url')).join('.')
  const tokens = { access_token: `${jwt}.c2ln`, token_type: 'Bearer', expires_in: 3_600, refresh_token: 'refresh' }
  const header = `Bearer ${tokens.access_token}`
  const sent = { all: 0, authorized: 0 }
  const answer = (config) => {
    sent.all += 1
    if (config.headers.Authorization === header) sent.authorized += 1
    return Promise.resolve({ data: '{"ok":true}', status: 200, statusText: 'OK', headers: {}, config })
  }
  const adapter = (config) => (config.url === `${issuer}/token` ? answerToken(config, tokens) : answer(config))
  return {
    serverUrl,
    tokens,
    expiresAt: exp * 1_000,
    sent,
    create: (config) => axios.create({ baseURL: serverUrl, adapter, ...config }),
    refresh: () => Promise.reject(new Error('nothing is to be renewed')),
    signIn: { issuer, code: 'code' },
  }
}

function answerToken(config, tokens) {
  const headers = { 'content-type': 'application/json' }
  return Promise.resolve({ data: JSON.stringify(tokens), status: 200, statusText: 'OK', headers, config })
}

await serveProcess(import.meta.url, measureOne)
