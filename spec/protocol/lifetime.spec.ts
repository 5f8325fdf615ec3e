import fc from 'fast-check'
import { computeLifetime, freshness, parseExpiresIn } from '../../lib/protocol/lifetime'

const minute = 60_000
const sentAt = 1_700_000_000_000

describe('parseExpiresIn(value)', () => {
  it.each<[unknown, number | undefined]>([
    [3600, 3600],
    ['3600', 3600],
    ['0', 0],
    ['007', 7],
    [0, 0],
    [-1, 0],
    [-Infinity, undefined],
    [59.9, 59],
    [1e18, 2 ** 31 - 1],
    ['9'.repeat(400), 2 ** 31 - 1],
    [2 ** 31, 2 ** 31 - 1],
    [Infinity, undefined],
    [NaN, undefined],
    ['soon', undefined],
    ['3600abc', undefined],
    ['1e3', undefined],
    [' 5 ', undefined],
    ['-1', undefined],
    ['', undefined],
    [true, undefined],
    [[3600], undefined],
    [{}, undefined],
    [null, undefined],
    [undefined, undefined],
    [3600n, undefined],
  ])(
    'reads %p as %p [lifetime.zero] [lifetime.unknown] [lifetime.numbers] [TK-11] [TK-12] [TK-13] [TK-14] [TK-15] [TK-16] [TK-17] [TK-18]',
    (value, expected) => {
      expect(parseExpiresIn(value)).toBe(expected)
    },
  )

  it('gives a whole number that JSON can hold, or nothing, for any input [lifetime.unknown] [TK-17]', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.double(), fc.bigInt().map(String)), (value) => {
        const seconds = parseExpiresIn(value)
        const usable = seconds !== undefined && Number.isInteger(seconds) && seconds >= 0 && seconds <= 2 ** 31 - 1
        expect(seconds === undefined || usable).toBe(true)
      }),
    )
  })
})

describe('computeLifetime({ sentAt, expiresIn, jitter })', () => {
  it.each<[number, number, number, number, number]>([
    // expires_in, jitter, and the distances before expiry: advisory begin, mandatory begin
    [3600, 0, 3600, 300_000, 30_000],
    [3600, 0.5, 3600, 246_000, 30_000],
    [240, 0, 240, 60_000, 24_000],
    [60, 0, 60, 15_000, 6_000],
    [5, 0, 5, 1_250, 500],
    [0, 0, 0, 0, 0],
  ])(
    'of %d s with jitter %d has its windows in proportion [refresh.windows] [refresh.jitter-once] [lifetime.absolute] [CK-09]',
    (expiresIn, jitter, seconds, advisory, mandatory) => {
      const expiresAt = sentAt + seconds * 1000
      const expected = { expiresAt, refreshAt: expiresAt - advisory, mandatoryAt: expiresAt - mandatory }
      expect(computeLifetime({ sentAt, expiresIn, jitter })).toEqual(expected)
    },
  )

  it('knows nothing without expires_in [lifetime.unknown] [TK-18]', () => {
    expect(computeLifetime({ sentAt, jitter: 0.3 })).toEqual({})
    expect(computeLifetime({ sentAt, expiresIn: undefined, jitter: 0.3 })).toEqual({})
  })

  it('orders the windows and moves only the advisory one by jitter [refresh.windows] [refresh.jitter-once]', () => {
    const jitters = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), jitters, (expiresIn, jitter) => {
        const plain = computeLifetime({ sentAt, expiresIn, jitter: 0 })
        const { expiresAt = 0, refreshAt = 0, mandatoryAt = 0 } = computeLifetime({ sentAt, expiresIn, jitter })
        expect([expiresAt, mandatoryAt]).toEqual([plain.expiresAt, plain.mandatoryAt])
        expect(refreshAt).toBeGreaterThanOrEqual(plain.refreshAt ?? Infinity)
        expect(refreshAt).toBeLessThanOrEqual((plain.refreshAt ?? 0) + 0.4 * (mandatoryAt - (plain.refreshAt ?? 0)) + 1)
        expect(refreshAt).toBeLessThanOrEqual(mandatoryAt)
        expect(mandatoryAt).toBeLessThanOrEqual(expiresAt)
      }),
    )
  })
})

describe('freshness(lifetime, now, minValidity)', () => {
  const hour = computeLifetime({ sentAt, expiresIn: 3600, jitter: 0 })

  it.each<[string, number, number, string]>([
    ['just issued', 0, 0, 'fresh'],
    ['a moment before the advisory window', 55 * minute - 1, 0, 'fresh'],
    ['in the advisory window', 55 * minute, 0, 'renewable'],
    ['a moment before the mandatory window', 59.5 * minute - 1, 0, 'renewable'],
    ['in the mandatory window', 59.5 * minute, 0, 'expired'],
    ['expired', 61 * minute, 0, 'expired'],
    ['left with just what is wanted', 30 * minute, 30 * minute, 'fresh'],
    ['left with less than is wanted', 30 * minute, 30 * minute + 1, 'expired'],
    ['in the advisory window with what is wanted', 55 * minute, minute, 'renewable'],
  ])(
    'says of a token that is %s what to do [refresh.windows] [refresh.before-send] [lifetime.get-token]',
    (_, age, min, expected) => {
      expect(freshness(hour, sentAt + age, min)).toBe(expected)
    },
  )

  it('uses a token of unknown lifetime [lifetime.unknown]', () => {
    expect(freshness({}, sentAt)).toBe('fresh')
    expect(freshness({}, sentAt, minute)).toBe('fresh')
    expect(freshness({ expiresAt: NaN, refreshAt: NaN, mandatoryAt: NaN }, sentAt)).toBe('fresh')
  })

  it('uses a token whose windows are not known until it expires [lifetime.absolute] [CK-05]', () => {
    expect(freshness({ expiresAt: sentAt }, sentAt - 1)).toBe('fresh')
    expect(freshness({ expiresAt: sentAt }, sentAt)).toBe('expired')
    expect(freshness({ expiresAt: -5 }, sentAt)).toBe('expired')
  })

  it('says of a token that lives 0 s that it is expired [lifetime.zero] [TK-12]', () => {
    expect(freshness(computeLifetime({ sentAt, expiresIn: 0, jitter: 0.9 }), sentAt)).toBe('expired')
  })

  it('never becomes better with time [refresh.windows]', () => {
    const order = ['fresh', 'renewable', 'expired']
    const ages = fc.integer({ min: -minute, max: 120 * minute })
    fc.assert(
      fc.property(ages, ages, (a, b) => {
        const [earlier, later] = [Math.min(a, b), Math.max(a, b)].map((age) =>
          order.indexOf(freshness(hour, sentAt + age)),
        )
        expect(earlier).toBeLessThanOrEqual(later ?? -1)
      }),
    )
  })
})
