/**
 * P1: what a request with a valid token costs, over bare axios with a constant header. The adapter answers at once, so
 * that nothing but the work in front of it is measured; it checks the header of every request.
 *
 * Each library has processes of its own (`--library`), in which nobody else's objects have been through axios.
 */
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import { runProcess } from './child.mjs'
import { assertOneAxios, axios, libraries, openBare, ours } from './libraries.mjs'
import { pairedRounds, ratiosOf, summarize } from './.m.mjs'

const goal = 1.03
const processes = 5
const rounds = +(process.env.R??120)
const warmUp = 30
const requestsPerRound = +(process.env.B??250)
/** Bare axios against itself: what it shows beside 1 is noise. */
const control = 'bare axios (control)'

const serverUrl = 'https://api.example.com/v1'
const issuer = 'https://login.example.com'

/** Measures every library and gives the section of the table. */
export async function measure({ report, quick }) {
  const names = [...Object.keys(libraries), control]
  const measured = Object.fromEntries(names.map((name) => [name, { ratios: [], microseconds: [] }]))
  for (let process = 1; process <= (quick ? 1 : processes); process += 1) {
    for (const name of names) {
      report(`process ${process}, ${name}`)
      const { ratios, microseconds } = await runProcess(import.meta.url, ['--library', name])
      measured[name].ratios.push(...ratios)
      measured[name].microseconds.push(microseconds)
    }
  }
  const rows = names.map((library) => {
    const { median, low, high, rounds: count } = summarize(measured[library].ratios)
    const { median: microseconds } = summarize(measured[library].microseconds)
    return { library, ratio: median, low, high, rounds: count, microseconds }
  })
  return { id: 'P1', rows, met: rows.every(({ library, ratio }) => library !== ours || ratio <= goal) }
}

export const table = {
  title: 'cost of a request with a valid token, × bare axios',
  goal: `≤ ${goal}`,
  columns: ['ratio', 'middle half', 'µs per request'],
  cells: ({ ratio, low, high, microseconds }) => [
    ratio.toFixed(3),
    `${low.toFixed(3)}–${high.toFixed(3)}`,
    microseconds.toFixed(1),
  ],
}

async function measureOne(name) {
  assertOneAxios()
  const world = createWorld()
  const bare = openBare(world)
  const library = name === control ? openBare(world) : await libraries[name].open(world)
  const baseline = () => sendAll(bare)
  const candidate = () => sendAll(library)
  await pairedRounds({ rounds: warmUp, baseline, candidate })
  const pairs = await pairedRounds({ rounds, baseline, candidate })
  assert.equal(world.sent.authorized, world.sent.all)
  assert.equal(world.sent.all, 2 * (rounds + warmUp) * requestsPerRound)
  const { median } = summarize(pairs.map((pair) => pair.candidate))
  const S=k=>pairs.reduce((a,p)=>a+p[k],0); return { sum: S("candidate")/S("baseline"), ratios: ratiosOf(pairs), microseconds: (median / requestsPerRound) * 1_000 }
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

const { values } = parseArgs({ options: { library: { type: 'string' } }, strict: false })
if (values.library !== undefined) process.stdout.write(JSON.stringify(await measureOne(values.library)))
