/** Milliseconds that two clocks may differ before they are worth mentioning. */
const worthMentioning = 60_000

/**
 * What may be wrong when a server refuses a request with signed assertions: the clocks, if they differ by the `Date` of
 * the answer (RFC 9110 §6.6.1), else what the assertion says. Undefined for a request without any.
 */
export function refusalHint(o: {
  /** The form that was sent. */
  readonly sent: URLSearchParams
  readonly issuer: string
  readonly date: string | undefined
  readonly now: number
}): string | undefined {
  const { sent, issuer, date = '', now } = o
  const clientAssertion = sent.has('client_assertion')
  if (!clientAssertion && !sent.has('assertion') && !sent.has('subject_token')) return undefined
  const difference = now - Date.parse(date)
  if (Math.abs(difference) > worthMentioning) {
    const seconds = Math.round(Math.abs(difference) / 1000)
    const side = difference > 0 ? 'ahead of' : 'behind'
    return `The clock of this machine is ${seconds} s ${side} the server's: set it right, or raise the option \`clockTolerance\`.`
  }
  return clientAssertion
    ? 'Compare key, `kid` and algorithm with the registered ones; servers that expect their token endpoint as audience need `assertion_audience`.'
    : `The assertion must not have expired and must be made for the audience ${issuer}.`
}
