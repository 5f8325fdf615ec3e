import { readFileSync } from 'node:fs'
import path from 'node:path'
import { repository } from './program'

/** A TypeScript block; its first line is a comment with a file name. */
export interface Block {
  readonly name: string
  readonly text: string
}

export const readme: string = readFileSync(path.join(repository, 'README.md'), 'utf8')

export const blocks: readonly Block[] = [...readme.matchAll(/^```(?:ts|typescript)\b[^\n]*\n([\s\S]*?)^```/gm)].map(
  ([, text = '']) => ({ name: /^\/\/ ([\w-]+(?:\.\w+)*\.ts)\n/.exec(text)?.[1] ?? 'without a name', text }),
)

/** The rows of the only table under a heading, each as its cells without the marks of code. */
export function tableUnder(heading: string): string[][] {
  const section = new RegExp(`^#+ ${heading}\\n([\\s\\S]*?)(?=^#+ |$(?![\\s\\S]))`, 'm').exec(readme)?.[1]
  if (section === undefined) throw new Error(`README.md has no section ${heading}`)
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .replace(/^\||\|$/g, '')
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replace(/\\\|/g, '|')),
  )
}

/** The texts in code marks of a cell. */
export function codeIn(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}
