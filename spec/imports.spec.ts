import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import ts from 'typescript'

const lib = path.resolve(__dirname, '../lib')

/**
 * Lowest first: a file imports from its own row or a row above it in this list. `x/` is a folder. DESIGN.md §3 with two
 * differences: interactive grants use the verbs, so grants come after them; the provider attaches, so the adapter comes
 * before it.
 */
const layers: readonly (readonly string[])[] = [
  ['errors', 'mutex', 'deadline', 'callback', 'events', 'inspect', 'reentrance'],
  ['protocol/'],
  ['http', 'need'],
  ['storage/'],
  ['client-authentication/client-key', 'dpop-option', 'options', 'option-checks', 'settings', 'receiver'],
  ['state/'],
  ['context'],
  ['metadata/'],
  ['client-authentication/', 'token-types/'],
  ['discovery', 'dynamic-registration', 'registrar', 'token-endpoint', 'verbs'],
  ['sign-in/sign-in-scope', 'sign-in/authorization-request', 'sign-in/visits'],
  ['pkce-flow', 'grants/'],
  ['sign-in/', 'token-source', 'step-up', 'sign-out'],
  ['request/'],
  ['adapter'],
  ['provider'],
  ['oauth', 'to-fetch', 'axios-augmentation'],
  ['index'],
  ['node/', 'redis/', 'testing/', 'cli/'],
]

/** The folders that may use what only Node has. */
const forNode = /^(node|redis|cli)\//

interface Source {
  /** Path below lib/, without extension. */
  readonly name: string
  /** The files of ours that it loads at run time; imports of types are erased and free to point anywhere. */
  readonly imports: readonly string[]
  /** The packages that it loads at run time, Node's modules included. */
  readonly packages: readonly string[]
  readonly tree: ts.SourceFile
}

const sources: readonly Source[] = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => parse(file.split(path.sep).join('/')))

function parse(file: string): Source {
  const tree = ts.createSourceFile(file, readFileSync(path.join(lib, file), 'utf8'), ts.ScriptTarget.ES2022, true)
  const specifiers: string[] = []
  const visit = (node: ts.Node): void => {
    const specifier = loadedSpecifier(node)
    if (specifier !== undefined) specifiers.push(specifier)
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return {
    name: file.slice(0, -'.ts'.length),
    imports: specifiers.filter((specifier) => specifier.startsWith('.')).map((specifier) => resolve(file, specifier)),
    packages: specifiers.filter((specifier) => !specifier.startsWith('.')),
    tree,
  }
}

function loadedSpecifier(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) && node.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword) {
    return textOf(node.moduleSpecifier)
  }
  if (ts.isExportDeclaration(node) && !node.isTypeOnly) return textOf(node.moduleSpecifier)
  const isDynamic = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
  return isDynamic ? textOf(node.arguments[0]) : undefined
}

function textOf(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined
}

function resolve(file: string, specifier: string): string {
  const name = path.posix.join(path.posix.dirname(file), specifier).replace(/\.[jt]s$/, '')
  return existsSync(path.join(lib, `${name}.ts`)) ? name : path.posix.join(name, 'index')
}

function layerOf(name: string): number {
  return layers.findIndex((row) => row.some((place) => (place.endsWith('/') ? name.startsWith(place) : name === place)))
}

function findCycle(): readonly string[] | undefined {
  const importsOf = new Map(sources.map(({ name, imports }) => [name, imports]))
  const done = new Set<string>()
  const walk = (name: string, trail: readonly string[]): readonly string[] | undefined => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name]
    if (done.has(name)) return undefined
    for (const next of importsOf.get(name) ?? []) {
      const cycle = walk(next, [...trail, name])
      if (cycle !== undefined) return cycle
    }
    done.add(name)
    return undefined
  }
  return sources.map(({ name }) => walk(name, [])).find((cycle) => cycle !== undefined)
}

function isEmptyCollection(node: ts.Expression | undefined): boolean {
  if (node === undefined) return false
  if (ts.isArrayLiteralExpression(node)) return node.elements.length === 0
  if (ts.isObjectLiteralExpression(node)) return node.properties.length === 0
  return ts.isNewExpression(node) && /^(Weak)?(Map|Set)$/.test(node.expression.getText()) && !node.arguments?.length
}

/** Module-level variables that can change: `let`, `var`, and collections that start empty in order to be filled. */
function mutableState({ name, tree }: Source): readonly string[] {
  return tree.statements
    .filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) =>
      declarationList.declarations
        .filter((variable) => !(declarationList.flags & ts.NodeFlags.Const) || isEmptyCollection(variable.initializer))
        .map((variable) => `${name}: ${variable.name.getText()}`),
    )
}

describe('the sources in lib/', () => {
  it('import downwards only, as DESIGN.md orders the layers', () => {
    const upwards = sources.flatMap(({ name, imports }) =>
      imports
        .filter((target) => layerOf(name) >= 0 && layerOf(target) > layerOf(name))
        .map((target) => `${name} → ${target}`),
    )
    expect(upwards).toEqual([])
  })

  it('each have a place in the layers', () => {
    expect(sources.map(({ name }) => name).filter((name) => layerOf(name) < 0)).toEqual([])
  })

  it('import each other in no circle', () => {
    expect(findCycle()).toBeUndefined()
  })

  it('keep no mutable state in a module', () => {
    expect(sources.flatMap(mutableState)).toEqual([])
  })

  it("import Node's modules in lib/node, lib/redis and lib/cli only, under their node: names [pack.runtimes]", () => {
    const isBuiltin = (name: string): boolean => name.startsWith('node:') || builtinModules.includes(name)
    const misplaced = sources.flatMap(({ name, packages }) =>
      packages
        .filter((target) => isBuiltin(target) && !(forNode.test(name) && target.startsWith('node:')))
        .map((target) => `${name} → ${target}`),
    )
    expect(misplaced).toEqual([])
  })

  it('import no package but axios, and zod by its mini entry as a namespace [pack.dependencies]', () => {
    const allowed = /^(axios|zod\/mini|node:.*)$/
    expect(sources.flatMap(({ packages }) => packages).filter((name) => !allowed.test(name))).toEqual([])
    // The named import of zod keeps all of it in a bundle: 92 KB.
    const named = sources.filter(({ tree }) => /^import (?!type\b|\* as z\b).*'zod\/mini'/m.test(tree.text))
    expect(named.map(({ name }) => name)).toEqual([])
  })
})
