import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { defaultGroups, runsOf, suiteVersion } from './expectations.mjs'
import { endAll, observe, projectFolder } from './referee.mjs'
import { judge } from './verdict.mjs'
import { createWorkspace, driverOf } from './workspace.mjs'

const usage = `Usage: npm run conformance -- [options] [filter…]

Runs the public MCP conformance suite against the packed library, one process per scenario and wire.

A filter is a part of a scenario's name (step-up) or a wire (2026-07-28). Several of a kind add up.

  --library <folder>  judge this package, which is built already, instead of building this one
  --driver <file>     another driver
  --options <file>    another table of options for the driver
  --jobs <number>     runs at the same time (default: twice the processors, at most 8)
  --output <folder>   for summary.json and the files of every run (default: .cache/conformance)
`

async function main() {
  const { values: flags, positionals: filters } = parseArgs({
    allowPositionals: true,
    options: {
      library: { type: 'string' },
      driver: { type: 'string', default: besideThis('driver.mjs') },
      options: { type: 'string', default: besideThis('options.mjs') },
      jobs: { type: 'string', default: String(Math.min(8, 2 * availableParallelism())) },
      output: { type: 'string', default: path.join(projectFolder, '.cache', 'conformance') },
      help: { type: 'boolean', default: false },
    },
  })
  if (flags.help) return void process.stdout.write(usage)

  const runs = selectRuns(defaultGroups, filters)
  if (runs.length === 0) throw new Error(`No run matches ${filters.join(' ')}`)
  if (flags.library === undefined) await build()

  const { library = projectFolder, driver, options } = flags
  const workspace = await createWorkspace({ project: projectFolder, library, driver, options })
  leaveNothingBehind(workspace)
  const output = path.resolve(flags.output)
  await report(await judgeAll(runs, { workspace, jobs: Number(flags.jobs), output }), output)
}

function besideThis(name) {
  return path.join(projectFolder, 'spec', 'conformance', name)
}

function selectRuns(names, filters) {
  const wires = filters.filter((filter) => /^\d{4}-\d{2}-\d{2}$/.test(filter))
  const parts = filters.filter((filter) => !wires.includes(filter))
  return runsOf(names).filter(
    ({ scenario, wire }) =>
      (wires.length === 0 || wires.includes(wire)) &&
      (parts.length === 0 || parts.some((part) => scenario.includes(part))),
  )
}

async function build() {
  await promisify(execFile)('npm', ['run', 'build'], { cwd: projectFolder })
}

/** However the runner ends: what it started ends with it, and its workspace goes away. */
function leaveNothingBehind(workspace) {
  process.once('exit', () => {
    endAll()
    rmSync(workspace, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))
}

/** Judges all runs, a few at a time, and prints the line of each as soon as those before it are printed. */
async function judgeAll(runs, { workspace, jobs, output }) {
  printRow(['scenario', 'wire', 'verdict', 'passed', 'failed', 'warned', 'exit', 'V', 'R', 'A', 'T', 'ms'])
  const verdicts = new Array(runs.length)
  let started = 0
  let printed = 0
  const work = async () => {
    while (started < runs.length) {
      const index = started++
      verdicts[index] = await judgeOne(runs[index], { workspace, output })
      for (; verdicts[printed] !== undefined; printed++) printVerdict(verdicts[printed])
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, runs.length) }, work))
  return verdicts
}

async function judgeOne(run, { workspace, output }) {
  const folder = path.join(output, run.wire, run.scenario)
  const start = performance.now()
  const observation = await observe(run, { driver: driverOf(workspace), folder })
  const milliseconds = Math.round(performance.now() - start)
  return { ...judge(run, observation), milliseconds, folder, driverErrors: observation.driverErrors?.trim() ?? '' }
}

const widths = [44, 11, 8, 7, 7, 7, 5, 3, 3, 3, 3, 6]

function printRow(cells) {
  const padded = cells.map((cell, column) => String(cell)[column < 3 ? 'padEnd' : 'padStart'](widths[column]))
  console.log(padded.join(' ').trimEnd())
}

function printVerdict({ scenario, wire, green, passed, failed, warnings, driverExit, counts, milliseconds }) {
  const { V, R, A, T } = counts
  printRow([scenario, wire, green ? 'green' : 'RED', passed, failed, warnings, driverExit, V, R, A, T, milliseconds])
}

async function report(verdicts, output) {
  for (const { scenario, wire, reasons, folder, driverErrors } of verdicts.filter(({ green }) => !green)) {
    console.log(`\n${scenario} at ${wire} is red (${path.relative(process.cwd(), folder)})`)
    for (const reason of reasons) console.log(`  - ${reason.slice(0, 300)}`)
    if (driverErrors !== '') console.log(driverErrors.split('\n', 12).join('\n').replace(/^/gm, '    '))
  }
  const failed = verdicts.filter(({ green }) => !green).length
  const summary = { suite: suiteVersion, passed: verdicts.length - failed, failed, runs: verdicts.map(summaryOf) }
  await mkdir(output, { recursive: true })
  await writeFile(path.join(output, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
  if (failed > 0) process.exitCode = 1
  console.log(`\n${summary.passed} passed, ${failed} failed`)
}

function summaryOf({ folder: _folder, driverErrors: _driverErrors, ...verdict }) {
  return verdict
}

await main().catch((error) => {
  console.error(error.message)
  process.exitCode = 2
})
