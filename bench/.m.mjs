/** Rounds of a baseline and a candidate, one right after the other, so that noise of the machine meets both. */

/**
 * Runs `rounds` rounds and gives for each the milliseconds of both. Who goes first alternates; garbage of one is not
 * collected in the time of the other where node runs with --expose-gc.
 */
export async function pairedRounds({ rounds, baseline, candidate }) {
  const pairs = []
  for (let round = 0; round < rounds; round += 1) {
    const pair = {}
    const runs = [
      ['baseline', baseline],
      ['candidate', candidate],
    ]
    for (const [name, run] of round % 2 === 0 ? runs : runs.reverse()) pair[name] = await timed(run)
    pairs.push(pair)
  }
  return pairs
}

/** `run` may prepare itself: it gives the work that is to be measured, or is that work. */
async function timed(run) {
  const work = (await run.prepare?.()) ?? run
  if (process.env.GC) globalThis.gc?.()
  const u=process.cpuUsage()
  await work()
  const v=process.cpuUsage(u); return (v.user+v.system)/1000
}

export function ratiosOf(pairs) {
  return pairs.map(({ baseline, candidate }) => candidate / baseline)
}

/** Median with the middle half of the values, for what varies. */
export function summarize(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share) => {
    const place = share * (sorted.length - 1)
    const below = Math.floor(place)
    return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below])
  }
  return { median: at(0.5), low: at(0.25), high: at(0.75), rounds: sorted.length }
}
