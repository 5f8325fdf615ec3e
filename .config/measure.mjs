/**
 * Measures what a user loads with the core entry of the package in the folder given (default: this repository): its
 * size minified, alone and gzipped, with axios left out and zod counted; what it still imports; and the milliseconds
 * that importing it takes once axios is loaded (median of nine processes). Prints one JSON object.
 */
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const folder = path.resolve(process.argv[2] ?? '.')
const entry = path.join(folder, 'dist/index.js')

async function measureSize() {
  const bundle = await rolldown({ input: entry, external: /^(?![./]|[A-Za-z]:)/, platform: 'neutral' })
  const { output } = await bundle.generate({ format: 'esm', minify: true, comments: false })
  const code = output.map((file) => file.code).join('')
  return {
    minified: Buffer.byteLength(code),
    gzipped: gzipSync(code, { level: 9 }).byteLength,
    imports: [...new Set(output.flatMap((file) => [...file.imports, ...file.dynamicImports]))].sort(),
  }
}

function measureImport() {
  const script = `
    await import('axios')
    const start = performance.now()
    await import(${JSON.stringify(pathToFileURL(entry).href)})
    console.log(performance.now() - start)`
  const runs = Array.from({ length: 9 }, () =>
    Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: folder, encoding: 'utf8' })),
  )
  return Math.round(runs.sort((a, b) => a - b)[4] * 10) / 10
}

console.log(JSON.stringify({ ...(await measureSize()), importMs: measureImport() }))
