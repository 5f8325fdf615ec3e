const longestDelay = 24 * 60 * 60 * 1000

/** IMF-fixdate and the obsolete format of RFC 850 (RFC 9110 §5.6.7); Date.parse alone accepts nearly any text. */
const httpDate = /^[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * Reads `Retry-After` (RFC 9110 §10.2.3), seconds or a date, as milliseconds from `now`, at most one day. Undefined for
 * a date that has passed and for everything else.
 */
export function parseRetryAfter(value: unknown, now: number): number | undefined {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : ''
  const delay = /^\d+$/.test(text) ? Number(text) * 1000 : httpDate.test(text) ? Date.parse(text) - now : Number.NaN
  return delay >= 0 ? Math.min(delay, longestDelay) : undefined
}
