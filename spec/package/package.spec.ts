import { readFile } from 'node:fs/promises'
import path from 'node:path'
import * as core from '../../lib/index'
import * as node from '../../lib/node/index'
import { createConsumer, readManifest, repository, run, runNode, type Consumer } from './consumer'

/** Bytes of the core entry, minified and gzipped, zod included, axios not. */
const sizeCeiling = 60_000

const tools = path.join(repository, 'node_modules')
let consumer: Consumer

beforeAll(async () => {
  consumer = await createConsumer()
}, 180_000)

afterAll(() => consumer?.remove())

describe('the packed archive', () => {
  it('holds the built entries, their types and the licences, and nothing else [pack.artifact]', () => {
    const isChunk = (file: string): boolean => /^dist\/chunks\/[\w-]+\.(js|cjs|d\.ts|d\.cts)$/.test(file)
    expect(consumer.files.filter((file) => !isChunk(file))).toEqual(
      [
        'LICENSE',
        'README.md',
        'package.json',
        'dist/zod.LICENSE',
        ...['index', 'node'].flatMap((entry) =>
          ['js', 'cjs', 'd.ts', 'd.cts'].map((extension) => `dist/${entry}.${extension}`),
        ),
      ].sort(),
    )
  })

  it('says nothing about this machine and links to no source map [pack.artifact]', async () => {
    for (const file of consumer.files) {
      const text = await readFile(path.join(consumer.installed, file), 'utf8')
      expect([file, text.includes(repository), text.includes('sourceMappingURL')]).toEqual([file, false, false])
    }
  })

  it('has each class once per format, whichever entries need it [pack.artifact]', async () => {
    for (const extension of ['.js', '.cjs']) {
      const files = consumer.files.filter((file) => file.endsWith(extension))
      const texts = await Promise.all(files.map((file) => readFile(path.join(consumer.installed, file), 'utf8')))
      const classes = texts.flatMap((text) => [...text.matchAll(/^(?:var|let|const) (\w+) = class\b|^class (\w+)/gm)])
      const names = classes.map((match) => match[1] ?? match[2])
      expect(names).toContain('OAuthFlowError')
      expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
    }
  })

  it('needs axios as its peer and nothing else [pack.dependencies]', async () => {
    const manifest = await readManifest(consumer.installed)
    expect(manifest).toMatchObject({ peerDependencies: { axios: expect.stringMatching(/^>=1\.\d+\.\d+ <2$/) } })
    expect(Object.keys(manifest.peerDependencies as object)).toEqual(['axios'])
    for (const kind of ['dependencies', 'optionalDependencies', 'bundleDependencies', 'bundledDependencies']) {
      expect(manifest).not.toHaveProperty(kind)
    }
  })

  it.each(['.js', '.cjs', '.d.ts', '.d.cts'])(
    'imports only axios and Node in its %s files [pack.dependencies]',
    async (extension) => {
      for (const file of consumer.files.filter((name) => name.endsWith(extension))) {
        const text = await readFile(path.join(consumer.installed, file), 'utf8')
        const specifiers = [
          ...text.matchAll(/^(?:import|export|const|let|var)\b[^'"\n]*?(?:from |require\(|import )['"]([^'"]+)['"]/gm),
        ]
        const foreign = specifiers.map((match) => match[1] ?? '').filter((name) => !/^(axios$|node:|\.)/.test(name))
        expect([file, foreign]).toEqual([file, []])
      }
    },
  )

  it('satisfies publint and attw [pack.artifact] [pack.types]', async () => {
    const { code, stdout, stderr } = await runNode(
      [path.join(repository, '.config/check-package.mjs'), consumer.tarball],
      repository,
    )
    expect(code === 0 ? '' : stdout + stderr).toBe('')
  }, 60_000)
})

describe('loading the installed package', () => {
  const names = { core: Object.keys(core).sort(), node: Object.keys(node).sort() }

  it.each(['load.mjs', 'load.cjs'])('finds every export: node %s [pack.esm-cjs]', async (script) => {
    const { code, stdout, stderr } = await runNode([script], consumer.folder)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual(names)
  })

  it('works in Jest in its default configuration [pack.esm-cjs]', async () => {
    const { code, stderr } = await runNode([path.join(tools, 'jest/bin/jest.js'), '--ci'], consumer.folder)
    expect(stderr).toContain('Tests:       1 passed, 1 total')
    expect(code).toBe(0)
  }, 60_000)

  it.each(['import', 'require'])(
    'by %s prints nothing, changes no global and needs no crypto, fetch or TextEncoder [pack.import-clean]',
    async (how) => {
      const outcome = await runNode(['import-clean.mjs', how], consumer.folder)
      expect(outcome).toEqual({ code: 0, stdout: '', stderr: '' })
    },
  )
})

describe('the core entry', () => {
  it(`has at most ${sizeCeiling} bytes, minified and gzipped, and imports axios alone [pack.size] [pack.runtimes]`, async () => {
    const { stdout, stderr } = await runNode(
      [path.join(repository, '.config/measure.mjs'), consumer.installed],
      repository,
    )
    expect(stderr).toBe('')
    const measured = JSON.parse(stdout) as { gzipped: number; imports: string[] }
    expect(measured.imports.filter((name) => name !== 'axios')).toEqual([])
    expect(measured.gzipped).toBeLessThanOrEqual(sizeCeiling)
  }, 60_000)
})

describe('the types, from .ts, .mts and .cts files', () => {
  const everywhere = ['--noEmit', '--strict', '--target', 'es2022', '--skipLibCheck', 'false', '--pretty', 'false']
  const modes = [
    ['bundler', ['--module', 'preserve', '--moduleResolution', 'bundler']],
    ['node16', ['--module', 'node16']],
    ['nodenext', ['--module', 'nodenext']],
  ] as const
  const platforms = [
    ['with the DOM and without Node', 'browser', ['--lib', 'es2022,dom']],
    ['without the DOM', 'server', ['--lib', 'es2022', '--types', 'node', '--typeRoots', path.join(tools, '@types')]],
  ] as const
  const cases = modes.flatMap(([mode, flags]) =>
    platforms.map(([title, file, more]) => [mode, title, file, [...flags, ...more]] as const),
  )

  beforeAll(async () => {
    for (const file of ['browser', 'server']) {
      for (const extension of ['mts', 'cts']) {
        await run('cp', [`${file}.ts`, `${file}.${extension}`], consumer.folder)
      }
    }
  })

  it.each(cases)(
    'compile under %s resolution %s, request option included [pack.types]',
    async (_mode, _title, file, flags) => {
      const files = [`${file}.ts`, `${file}.mts`, `${file}.cts`, 'required.cts']
      const { stdout } = await runNode(
        [path.join(tools, 'typescript/bin/tsc'), ...everywhere, ...flags, ...files],
        consumer.folder,
      )
      expect(stdout).toBe('')
    },
    60_000,
  )
})
