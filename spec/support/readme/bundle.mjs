/**
 * Makes runnable modules of TypeScript programs: `node bundle.mjs <folder> <program.ts>…` writes `<folder>/<program>.mjs`.
 * `axios-oauth2` is the code in lib/, as in every spec; all other packages stay imports.
 */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const [folder, ...programs] = process.argv.slice(2)

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(programs.map((program) => [path.basename(program, '.ts'), path.resolve(program)])),
  platform: 'node',
  resolve: {
    alias: {
      'axios-oauth2/node': path.join(root, 'lib/node/index.ts'),
      'axios-oauth2': path.join(root, 'lib/index.ts'),
    },
  },
  external: (id) => !id.startsWith('.') && !path.isAbsolute(id) && !id.startsWith('axios-oauth2'),
})
await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: 'chunks/[name].mjs' })
await bundle.close()
