import type { Run } from './expectations.mjs'
import type { Observation } from './verdict.mjs'

export const projectFolder: string
export function suiteArguments(): readonly string[]
export function observe(
  run: Run,
  options: { readonly driver: string; readonly folder: string; readonly deadline?: AbortSignal },
): Promise<Observation & { readonly driverErrors: string | undefined }>
export function endAll(): void
