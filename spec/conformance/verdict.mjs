/**
 * Judges one run: green when nothing speaks against it. Stricter than the suite, which lets pass a driver that died from
 * a signal, a scenario that was skipped, and any exit code of a rejection.
 */
export function judge(run, observation) {
  const { expected } = run
  const driver = driverOf(observation)
  const checks = Array.isArray(observation.checks) ? observation.checks : undefined
  const counted = countRequests(checks ?? [])
  const tally = (status) => (checks ?? []).filter((check) => check.status === status)

  const reasons = [
    ...processReasons(observation),
    ...checkReasons(checks, tally),
    ...driverReasons(expected, driver),
    ...(checks === undefined ? [] : countReasons(expected, counted)),
  ]
  return {
    scenario: run.scenario,
    wire: run.wire,
    green: reasons.length === 0,
    reasons,
    passed: tally('SUCCESS').length,
    failed: tally('FAILURE').length,
    warnings: tally('WARNING').length,
    driverExit: driver.exit,
    ending: driver.ending,
    counts: { V: counted.V, R: counted.R.length, A: counted.A.length, T: counted.T.length },
    notSuccessful: (checks ?? [])
      .filter((check) => check.status !== 'SUCCESS' && check.status !== 'INFO')
      .map((check) => `${check.status} ${check.id}`),
  }
}

/**
 * How the driver ended. Its exit code is in no file; the suite prints it only when it is not 0. A driver that a signal
 * killed counts as 0 there, which is why its own last line is wanted as well.
 */
function driverOf({ stderr, driverOutput }) {
  // eslint-disable-next-line no-control-regex -- colours begin with a control character
  const plain = stderr.replace(/\u001b\[[0-9;]*m/g, '')
  const exit = Number(/^Client exited with code (\d+)/m.exec(plain)?.[1] ?? 0)
  const lastLine = driverOutput?.trimEnd().split('\n').at(-1)
  return { exit, timedOut: /^Client timed out/m.test(plain), ending: parseEnding(lastLine) }
}

function parseEnding(line) {
  try {
    const ending = JSON.parse(line)
    return typeof ending?.outcome === 'string' ? ending : undefined
  } catch {
    return undefined // no line at all, or a line of something else
  }
}

function processReasons({ cliExit, deadline }) {
  if (deadline) return ['the run passed its deadline and was killed']
  return cliExit === 0 ? [] : [`the suite exited with ${cliExit ?? 'a signal'}`]
}

function checkReasons(checks, tally) {
  if (checks === undefined) return ['there is no readable checks.json: skipped, or the suite crashed']
  const bad = [...tally('FAILURE'), ...tally('WARNING')]
  return [
    ...bad.map(({ status, id, errorMessage, description }) => `${status} ${id}: ${errorMessage ?? description}`),
    ...(tally('SUCCESS').length === 0 ? ['no check succeeded'] : []),
  ]
}

function driverReasons(expected, { exit, timedOut, ending }) {
  const reasons = []
  if (timedOut) reasons.push('the driver timed out')
  if (exit !== expected.exit) reasons.push(`the driver exited with ${exit} instead of ${expected.exit}`)
  if (ending === undefined) return [...reasons, 'the driver did not write its last line']
  return endsAsExpected(expected, ending) ? reasons : [...reasons, `the driver ended with ${JSON.stringify(ending)}`]
}

function endsAsExpected({ exit, rejection = [] }, ending) {
  if (exit === 0) return ending.outcome === 'done'
  if (ending.outcome !== 'rejected') return false
  return rejection.some(({ code, status }) =>
    code === undefined ? ending.code === undefined && ending.status === status : ending.code === code,
  )
}

/** MCP messages that carried a token, and the paths of what reached the authorization server's three endpoints. */
function countRequests(checks) {
  const requests = checks
    .filter((check) => check.status === 'INFO' && /^incoming-(auth-)?request$/.test(check.id))
    .map((check) => ({ method: String(check.details?.method), path: String(check.details?.path) }))
  const paths = (method, endpoint) =>
    requests.filter((request) => request.method === method && request.path.endsWith(endpoint)).map(({ path }) => path)
  return {
    V: checks.filter((check) => check.id === 'valid-bearer-token').length,
    R: paths('POST', '/register'),
    A: paths('GET', '/authorize'),
    T: paths('POST', '/token'),
  }
}

function countReasons(expected, counted) {
  const wanted = { ...expected, T: expected.T === 'A' ? counted.A.length : expected.T }
  const wrongCounts = ['V', 'R', 'A', 'T'].flatMap((letter) => {
    const count = letter === 'V' ? counted.V : counted[letter].length
    const allowed = [wanted[letter]].flat()
    return allowed.includes(count) ? [] : [`${letter} is ${count} instead of ${allowed.join(' or ')}`]
  })
  const strays = [...counted.R, ...counted.A, ...counted.T].filter(
    (path) => path !== `${expected.endpoints}${path.slice(path.lastIndexOf('/'))}`,
  )
  return [...wrongCounts, ...strays.map((path) => `a request went to ${path}, outside ${expected.endpoints || '/'}`)]
}
