/** A time without new attempts, in milliseconds since the epoch. */
export interface Pause {
  readonly since: number
  readonly until: number
}

/** Whether a pause is on. A clock that has been set back since it began ends it: it would last as long as the clock was wrong. */
export function isOn({ since, until }: Pause, now: number): boolean {
  return since <= now && now < until
}
