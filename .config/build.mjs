/**
 * Builds dist/: every entry of package.json's `exports` as an ES module and as CommonJS, with types for both.
 *
 * All entries of one format are built together, so a module that two of them need lives in one shared file and a class
 * is the same class wherever it comes from. The result replaces dist/ in one step: nobody ever sees half a build.
 */
import { chmod, cp, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'))
const dist = path.join(root, 'dist')

/** `.` is lib/index.ts, `./node` is lib/node/index.ts, and so on. */
function entries() {
  const subpaths = Object.keys(manifest.exports).filter((subpath) => !subpath.endsWith('.json'))
  return Object.fromEntries(
    subpaths.map((subpath) => {
      const name = subpath === '.' ? 'index' : subpath.slice(2)
      return [name, path.join(root, 'lib', subpath, 'index.ts')]
    }),
  )
}

/** Peers stay imports; everything else that is imported (zod) becomes part of dist/. */
function isExternal(id) {
  const peers = Object.keys(manifest.peerDependencies)
  return id.startsWith('node:') || peers.some((peer) => id === peer || id.startsWith(`${peer}/`))
}

/**
 * zod keeps its configuration and its registry on `globalThis`, and probes for `new Function`. An import of ours changes
 * no global and compiles no strings (Workers, strict CSP), so the bundled copy gets an object of its own instead.
 */
function privateZod() {
  const patched = new Set()
  return {
    name: 'private-zod',
    transform(code, id) {
      if (!/[\\/]zod[\\/]/.test(id) || !code.includes('globalThis.__zod_global')) return null
      patched.add(path.basename(id))
      const own = 'const zodGlobals = { __zod_globalConfig: { jitless: true } };\n'
      return { code: own + code.replaceAll('globalThis', 'zodGlobals'), map: null }
    },
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk' && /globalThis\W+__zod/.test(file.code)) {
          this.error(`zod still writes to globalThis in ${file.fileName}; patched: ${[...patched].join(', ')}`)
        }
      }
    },
  }
}

function failOnWarning(warning) {
  throw new Error(`The build warned: ${warning.message}`)
}

/** Types that a public signature shows and no entry exports: a user could not name them. Said once, no failure. */
function printWarning(warning) {
  if (!warning.message.includes('.d.cts"')) process.stderr.write(`types: ${warning.message}\n`)
}

async function buildCode(directory) {
  const bundle = await rolldown({
    cwd: root,
    input: entries(),
    external: isExternal,
    platform: 'neutral',
    plugins: [privateZod()],
    onwarn: failOnWarning,
  })
  for (const [format, extension] of [
    ['esm', 'js'],
    ['cjs', 'cjs'],
  ]) {
    await bundle.write({
      dir: directory,
      format,
      exports: 'named',
      entryFileNames: `[name].${extension}`,
      chunkFileNames: `chunks/[name].${extension}`,
    })
  }
  await bundle.close()
}

async function buildTypes(directory) {
  const bundle = await rollup({
    input: entries(),
    external: isExternal,
    plugins: [dts({ tsconfig: path.join(root, 'tsconfig.json'), compilerOptions: { stripInternal: true } })],
    onwarn: printWarning,
  })
  for (const extension of ['d.ts', 'd.cts']) {
    await bundle.write({
      dir: directory,
      format: 'es',
      entryFileNames: `[name].${extension}`,
      chunkFileNames: `chunks/[name].${extension}`,
    })
  }
  await bundle.close()
}

/** Moves the result to dist/. Another build may do the same at that moment: the later one wins. */
async function replaceDist(directory) {
  await chmod(directory, 0o755)
  for (let attempt = 1; ; attempt += 1) {
    const previous = `${directory}-${attempt}`
    await rename(dist, previous).catch(ignore('ENOENT'))
    const moved = await rename(directory, dist).then(
      () => true,
      attempt < 5 ? ignore('ENOTEMPTY', 'EEXIST') : undefined,
    )
    await rm(previous, { recursive: true, force: true })
    if (moved) return
  }
}

function ignore(...codes) {
  return (error) => {
    if (!codes.includes(error.code)) throw error
  }
}

const directory = await mkdtemp(path.join(root, '.dist-'))
try {
  await Promise.all([buildCode(directory), buildTypes(directory)])
  // zod is MIT: its notice travels with the copy.
  await cp(path.join(root, 'node_modules/zod/LICENSE'), path.join(directory, 'zod.LICENSE'))
  await replaceDist(directory)
} finally {
  await rm(directory, { recursive: true, force: true })
}
