/** Milliseconds on the wall: for work that waits for something. */
export const wallClock = () => performance.now()

/**
 * Milliseconds of this process on a processor, all its threads: for work that waits for nothing. Other processes on the
 * machine hardly show in it.
 */
export function processorClock() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/**
 * Runs `rounds` pairs of a baseline and a candidate, one right after the other, so that noise meets both; who goes first
 * alternates. Each is a function that prepares one round and gives the work to be timed; work may give a function that
 * looks at what it did, called when the time has been taken. `patience`: seconds after which no round begins. Gives
 * `{ baseline, candidate }` in milliseconds per round.
 *
 * No collection of garbage is forced in between: it would also throw away hidden classes that happen to have no instance
 * at that moment, and the code that was compiled for them, and what is measured then is the compiler.
 */
export async function pairedRounds({ rounds, clock, patience = Infinity, baseline, candidate }) {
  const pairs = []
  const end = performance.now() + patience * 1_000
  for (let round = 0; round < rounds && performance.now() < end; round += 1) {
    const pair = {}
    const sides = Object.entries({ baseline, candidate })
    for (const [name, prepare] of round % 2 === 0 ? sides : sides.reverse()) {
      const work = await prepare()
      const began = clock()
      const inspect = await work()
      pair[name] = clock() - began
      await inspect?.()
    }
    pairs.push(pair)
  }
  return pairs
}

/** How often the baseline's time the candidate took, for each pair. */
export function ratiosOf(pairs) {
  return pairs.map(({ baseline, candidate }) => candidate / baseline)
}

/** The median and the borders of the middle half. */
export function summarize(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75) }
}

function quantile(sorted, share) {
  const place = share * (sorted.length - 1)
  const below = Math.floor(place)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (place - below) * (sorted[above] - sorted[below])
}
