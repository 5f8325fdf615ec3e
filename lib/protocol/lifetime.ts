/** Seconds; beyond this a timer or a signed 32-bit column overflows. */
const longestLifetime = 2 ** 31 - 1

const longestAdvisory = 300_000
const longestMandatory = 30_000

/** When a token stops being usable as it is; milliseconds since the epoch. Absent members are not known. */
export interface Lifetime {
  readonly expiresAt?: number | undefined
  /** From here on one renewal runs in the background while the token is still used. */
  readonly refreshAt?: number | undefined
  /** From here on requests wait for the renewal. */
  readonly mandatoryAt?: number | undefined
}

/**
 * Reads `expires_in` (RFC 6749 §5.1): seconds as a number or, for servers that quote it, as a string of digits. Zero
 * and less is 0; undefined, an unknown lifetime, is what everything else says.
 */
export function parseExpiresIn(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d+$/.test(value) ? Math.min(Number(value), longestLifetime) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return undefined
  return Math.min(Math.max(Math.floor(seconds), 0), longestLifetime)
}

/**
 * The renewal windows of a token that was requested at `sentAt` (milliseconds): with lifetime L the advisory window
 * begins min(300 s, 25 % of L) before expiry, the mandatory one min(30 s, 10 % of L). `jitter` from [0, 1), drawn once
 * per token, starts the advisory window later by up to 40 % of the time between the two.
 */
export function computeLifetime(o: {
  readonly sentAt: number
  readonly expiresIn?: number | undefined
  readonly jitter: number
}): Lifetime {
  if (o.expiresIn === undefined) return {}
  const lifetime = o.expiresIn * 1000
  const advisory = Math.min(longestAdvisory, lifetime / 4)
  const mandatory = Math.min(longestMandatory, lifetime / 10)
  const expiresAt = o.sentAt + lifetime
  return {
    expiresAt,
    refreshAt: expiresAt - advisory + o.jitter * 0.4 * (advisory - mandatory),
    mandatoryAt: expiresAt - mandatory,
  }
}

/**
 * What to do with a token at `now`: use it (`fresh`), use it and renew it in the background (`renewable`), or wait for
 * the renewal (`expired`). `minValidity`: milliseconds that must remain. A token of unknown lifetime is fresh.
 */
export function freshness(lifetime: Lifetime, now: number, minValidity: number = 0): 'fresh' | 'renewable' | 'expired' {
  const expiresAt = known(lifetime.expiresAt)
  const mandatoryAt = known(lifetime.mandatoryAt) ?? expiresAt
  const refreshAt = known(lifetime.refreshAt) ?? mandatoryAt
  if (expiresAt !== undefined && expiresAt - now < minValidity) return 'expired'
  if (refreshAt === undefined || now < refreshAt) return 'fresh'
  return mandatoryAt === undefined || now < mandatoryAt ? 'renewable' : 'expired'
}

/** Whether a token has expired at `now`, or will before `minValidity` has passed; one of unknown lifetime never has. */
export function isExpired({ expiresAt }: Lifetime, now: number, minValidity: number = 0): boolean {
  return expiresAt !== undefined && (now >= expiresAt || expiresAt - now < minValidity)
}

/** NaN, which arithmetic on a damaged record yields, is no time. */
function known(time: number | undefined): number | undefined {
  return Number.isNaN(time) ? undefined : time
}
