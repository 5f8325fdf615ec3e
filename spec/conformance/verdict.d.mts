import type { Run } from './expectations.mjs'

/** What is left of a run of the suite's command line. */
export interface Observation {
  /** Exit code of the command line, null when a signal ended it. */
  readonly cliExit: number | null
  /** Whether our own deadline had to end it. */
  readonly deadline: boolean
  readonly stderr: string
  /** The content of checks.json, undefined where there is none or it is no JSON. */
  readonly checks: unknown
  /** What the driver wrote to stdout, undefined where the suite did not keep it. */
  readonly driverOutput: string | undefined
}

export interface Verdict {
  readonly scenario: string
  readonly wire: string
  readonly green: boolean
  readonly reasons: readonly string[]
  readonly passed: number
  readonly failed: number
  readonly warnings: number
  readonly driverExit: number
  readonly ending: { readonly outcome: string } | undefined
  readonly counts: { readonly V: number; readonly R: number; readonly A: number; readonly T: number }
  readonly notSuccessful: readonly string[]
}

export function judge(run: Run, observation: Observation): Verdict
