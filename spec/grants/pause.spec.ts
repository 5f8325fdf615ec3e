import { isOn } from '../../lib/grants/pause'

const pause = { since: 1_000, until: 4_000 }

describe('isOn()', () => {
  it.each([
    ['from the moment it began', 1_000, true],
    ['until it ends', 3_999, true],
    ['but not at its end', 4_000, false],
    ['and not when the clock has been set back since', 999, false],
  ])('%s [refresh.pause]', (_when, now, expected) => {
    expect(isOn(pause, now)).toBe(expected)
  })
})
