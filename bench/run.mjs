/**
 * Measures this build against its peers: `npm run bench [-- P1 P3] [-- --quick]`. Prints one table and writes
 * bench/results.json. Some figures only, or `--quick`, which measures roughly, write nothing.
 *
 * Each figure is a script `pNN-….mjs` of this folder that exports `measure({ report, quick })`, which gives
 * `{ rows, met }`, and a `table` that says how the rows are shown. The exit code is 1 when a goal is missed.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = (name) => fileURLToPath(new URL(name, import.meta.url))

const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean' } }, allowPositionals: true })
const quick = values.quick === true

installPeers()
const figures = await readFigures(positionals)
const results = []
for (const { table, measure } of figures) {
  const began = performance.now()
  const { rows, met } = await measure({ quick, report: (text) => showProgress(`${table.id}: ${text}`) })
  showProgress('')
  results.push({ id: table.id, title: table.title, goal: table.goal, met, rows })
  print(table, { rows, met, seconds: (performance.now() - began) / 1_000 })
}
if (!quick && positionals.length === 0) await writeResults(results)
process.exitCode = results.every(({ met }) => met) ? 0 : 1

/** The peers are installed when they are first needed: they are no business of whoever only builds and tests. */
function installPeers() {
  if (existsSync(here('node_modules'))) return
  console.error('installing the peers in bench/ …')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  execFileSync(npm, ['ci', '--no-audit', '--no-fund'], { cwd: here('.'), stdio: ['ignore', 'ignore', 'inherit'] })
}

/** The scripts of the figures, all or those named. */
async function readFigures(names) {
  const files = (await readdir(here('.'))).filter((file) => /^p\d\d-.*\.mjs$/.test(file)).sort()
  const all = await Promise.all(files.map((file) => import(new URL(file, import.meta.url))))
  const wanted = names.map((name) => name.toUpperCase())
  const unknown = wanted.filter((name) => !all.some(({ table }) => table.id === name))
  if (unknown.length > 0) throw new Error(`no such figure: ${unknown.join(', ')}`)
  return wanted.length === 0 ? all : all.filter(({ table }) => wanted.includes(table.id))
}

function print({ id, title, goal, columns, cells }, { rows, met, seconds }) {
  console.log(`\n${id}  ${title}\n    goal: ${goal} — ${met ? 'met' : 'MISSED'} (${seconds.toFixed(0)} s)\n`)
  const lines = [['', ...columns], ...rows.map((row) => [row.library, ...cells(row)])].map((line) => line.map(String))
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  for (const line of lines) {
    const padded = line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
    console.log(`    ${padded.join('  ')}`)
  }
}

/** One line that the next one replaces, where somebody is watching. */
function showProgress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

async function writeResults(figures) {
  const report = {
    date: new Date().toISOString().slice(0, 10),
    node: process.versions.node,
    axios: await versionOf('axios/package.json'),
    machine: describeMachine(),
    peers: await versionsOfPeers(),
    figures,
  }
  await writeFile(here('results.json'), `${JSON.stringify(report, roundedMember, 2)}\n`)
}

/** The class of machine; nothing that names it. */
function describeMachine() {
  const gibibytes = Math.round(os.totalmem() / 2 ** 30)
  return `${os.platform()} ${os.arch()}, ${os.availableParallelism()} processors, ${gibibytes} GiB`
}

async function versionsOfPeers() {
  const { devDependencies } = JSON.parse(await readFile(here('package.json'), 'utf8'))
  const { devDependencies: ours } = JSON.parse(await readFile(here('../package.json'), 'utf8'))
  return { ...devDependencies, '@modelcontextprotocol/client': ours['@modelcontextprotocol/client'] }
}

async function versionOf(manifest) {
  return JSON.parse(await readFile(fileURLToPath(import.meta.resolve(manifest)), 'utf8')).version
}

function roundedMember(_name, value) {
  return typeof value === 'number' ? Math.round(value * 10_000) / 10_000 : value
}
