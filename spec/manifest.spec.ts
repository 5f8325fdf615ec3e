import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished, requirements } from './support/requirements'

/** Ids in square brackets in the titles of a spec, such as `[prm.header-first]` or `[WA-01 WA-02]`. */
const bracketed =
  /\[((?:[a-z][a-z0-9-]*\.[a-z0-9-]+|[A-Z]{2}-\d\d)(?:[ ,]+(?:[a-z][a-z0-9-]*\.[a-z0-9-]+|[A-Z]{2}-\d\d))*)\]/g

function citedIn(file: string): string[] {
  const titles = readFileSync(file, 'utf8').match(
    /\b(?:it|test|describe)(?:\.each\b[\s\S]*?\]\)|\.each\([^)]*\))?\(\s*(?:'[^'\n]*'|"[^"\n]*"|`[^`]*`)/g,
  )
  const text = (titles ?? []).join('\n')
  return [...text.matchAll(bracketed)].flatMap((match) => (match[1] ?? '').split(/[ ,]+/))
}

const specs = (readdirSync(__dirname, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.spec.ts'))
  .map((name) => join(__dirname, name))
const cited = new Map(specs.map((file) => [file, citedIn(file)]))
const all = new Set([...cited.values()].flat())

describe('the requirements manifest', () => {
  it('knows every id that a spec cites', () => {
    const unknown = [...cited].flatMap(([file, ids]) =>
      ids.filter((id) => !Object.hasOwn(requirements, id)).map((id) => `${id} in ${file.slice(__dirname.length + 1)}`),
    )
    expect(unknown).toEqual([])
  })

  it('sees every id of a finished step cited by a spec', () => {
    const due = Object.entries(requirements).filter(([, step]) => finished.includes(step))
    expect(due.map(([id]) => id).filter((id) => !all.has(id))).toEqual([])
  })
})
