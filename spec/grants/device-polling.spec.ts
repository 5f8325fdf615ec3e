import { OAuthTokenError, type OAuthErrorDetails } from '../../lib/errors'
import { poll } from '../../lib/grants/device-polling'

const refusal = (details: Partial<OAuthErrorDetails>): OAuthTokenError =>
  new OAuthTokenError('refused', { code: 'OAUTH_TOKEN_ENDPOINT_ERROR', ...details })
const pending = refusal({ oauthError: 'authorization_pending' })
const slowDown = refusal({ oauthError: 'slow_down' })
const outage = refusal({ code: 'OAUTH_TEMPORARY', retryable: true })
const busy = refusal({ code: 'OAUTH_TEMPORARY', retryable: true, retryAfter: 30_000 })
const throttled = refusal({ code: 'OAUTH_TEMPORARY', retryable: true, oauthError: 'slow_down', retryAfter: 20_000 })

beforeEach(() => {
  jest.useFakeTimers()
})
afterEach(() => {
  jest.useRealTimers()
})

/** When, in seconds, a server is asked that gives these answers, and what comes of it. */
async function pollAgainst(answers: readonly unknown[], o: { interval?: number; expiresIn?: number } = {}) {
  const start = Date.now()
  const asked: number[] = []
  const controller = new AbortController()
  const ask = (): Promise<unknown> => {
    asked.push((Date.now() - start) / 1000)
    const answer = answers[Math.min(asked.length, answers.length) - 1]
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
  }
  const expiresAt = start + (o.expiresIn ?? 600) * 1000
  const outcome = poll(ask, { interval: o.interval ?? 5, expiresAt, now: Date.now, signal: controller.signal }).catch(
    (reason: unknown) => reason,
  )
  return { asked, outcome, abort: (reason: unknown) => controller.abort(reason) }
}

describe('poll()', () => {
  const schedules: readonly (readonly [string, readonly unknown[], readonly number[]])[] = [
    ['waits the interval first', ['tokens'], [5]],
    ['goes on while the person has not answered', [pending, pending, 'tokens'], [5, 10, 15]],
    ['adds 5 seconds for good when it shall slow down', [slowDown, pending, slowDown, 'tokens'], [5, 15, 25, 40]],
    ['slows down while the server cannot be reached', [outage, outage, outage, pending, 'tokens'], [5, 15, 35, 75, 80]],
    ['waits as long as the server says', [busy, 'tokens'], [5, 35]],
    ['waits as long as the server says while it slows down', [throttled, pending, 'tokens'], [5, 25, 35]],
  ]
  it.each(schedules)('%s [device.polling]', async (_what, answers, expected) => {
    const { asked, outcome } = await pollAgainst(answers)
    await jest.advanceTimersByTimeAsync(600_000)
    expect(await outcome).toBe('tokens')
    expect(asked).toEqual(expected)
    expect(jest.getTimerCount()).toBe(0)
  })

  it('never slows down to less than once a minute by itself, and not below the interval [device.polling]', async () => {
    const { asked } = await pollAgainst([outage])
    await jest.advanceTimersByTimeAsync(600_000)
    const gaps = asked.map((at, index) => at - (asked[index - 1] ?? 0))
    expect(Math.max(...gaps)).toBe(60)
    const slow = await pollAgainst([outage], { interval: 90 })
    await jest.advanceTimersByTimeAsync(600_000)
    expect(slow.asked.slice(0, 3)).toEqual([90, 180, 270])
  })

  const endings: readonly (readonly [string, unknown, object])[] = [
    [
      'says no',
      refusal({ oauthError: 'access_denied' }),
      { code: 'OAUTH_AUTHORIZATION_DENIED', oauthError: 'access_denied' },
    ],
    ['takes too long for the server', refusal({ oauthError: 'expired_token' }), { code: 'OAUTH_CALLBACK_TIMEOUT' }],
    [
      'meets any other refusal',
      refusal({ oauthError: 'invalid_grant' }),
      { code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_grant' },
    ],
    ['meets an error of ours that is final', refusal({ code: 'OAUTH_TOKEN_INVALID' }), { code: 'OAUTH_TOKEN_INVALID' }],
  ]
  it.each(endings)('ends at once when the person %s [device.polling]', async (_what, answer, expected) => {
    const { asked, outcome } = await pollAgainst([pending, answer])
    await jest.advanceTimersByTimeAsync(600_000)
    expect(await outcome).toMatchObject(expected)
    expect(asked).toEqual([5, 10])
  })

  it('ends when the code expires, without a last request [device.polling]', async () => {
    const { asked, outcome } = await pollAgainst([pending], { expiresIn: 12 })
    await jest.advanceTimersByTimeAsync(12_000)
    expect(await outcome).toMatchObject({ code: 'OAUTH_CALLBACK_TIMEOUT', hint: expect.stringContaining('new code') })
    expect(asked).toEqual([5, 10])
    expect(jest.getTimerCount()).toBe(0)
  })

  it('ends at once on abort and leaves no timer behind [device.polling] [CC-09]', async () => {
    const { asked, outcome, abort } = await pollAgainst([pending])
    await jest.advanceTimersByTimeAsync(7_000)
    abort('enough')
    expect(await outcome).toBe('enough')
    expect(asked).toEqual([5])
    expect(jest.getTimerCount()).toBe(0)
  })
})
