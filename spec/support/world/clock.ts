/** The time of the world, in milliseconds since the epoch; it stands still unless it was started with `clock: false`. */
export interface Clock {
  readonly now: () => number
  readonly advance: (ms: number) => void
}

const start = Date.UTC(2026, 0, 15, 12)

export function createClock(o: { standing: boolean }): Clock {
  let advanced = 0
  return {
    now: () => (o.standing ? start : Date.now()) + advanced,
    advance: (ms) => {
      advanced += ms
    },
  }
}
