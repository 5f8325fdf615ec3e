/** A way in which the driver may report that the library refused. */
export type Rejection = { readonly code: string } | { readonly status: number }

/** What a clean run of a scenario leaves; see `expectations.mjs` for the members. */
export interface Expectation {
  readonly exit: 0 | 1
  readonly rejection?: readonly Rejection[]
  readonly V: number
  readonly R: number
  readonly A: number | readonly number[]
  readonly T: number | 'A'
  readonly endpoints: string
}

/** One scenario at one wire. */
export interface Run {
  readonly scenario: string
  readonly wire: string
  readonly force: boolean
  readonly expected: Expectation
}

export type Group = 'A' | 'B' | 'C' | 'D'

export const suiteVersion: string
export const groups: Readonly<Record<Group, { readonly wires: readonly string[]; readonly force: boolean }>>
export const defaultGroups: readonly Group[]
export const scenarios: readonly { readonly name: string; readonly group: Group }[]
export function runsOf(names: readonly Group[]): readonly Run[]
