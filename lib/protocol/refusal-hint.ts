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
  const { sent, issuer, date, now } = o
  const clientAssertion = sent.has('client_assertion')
  if (!clientAssertion && !sent.has('assertion') && !sent.has('subject_token')) return undefined
  const clocks = clockDifference(date, now)
  if (clocks !== undefined)
    return `${clocks}: set it right${clientAssertion ? ', or raise the option `clockTolerance`' : ''}.`
  return clientAssertion
    ? 'Compare key, `kid` and algorithm with the registered ones; servers that expect their token endpoint as audience need `assertion_audience`.'
    : `The assertion must not have expired and must be made for the audience ${issuer}.`
}

/** What may be wrong when a server refuses a DPoP proof: `iat`, which follows the clock, or what the proof says. */
export function proofHint(o: { readonly date: string | undefined; readonly now: number }): string {
  const clocks = clockDifference(o.date, o.now)
  if (clocks !== undefined) return `${clocks}, and proofs are dated by it: set it right.`
  return 'Compare the URL that the server sees with the one that was requested (a proxy may change it), and `dpop.alg` with what the server accepts.'
}

/**
 * What may help against a server that refuses the `resource` parameter. AADSTS9010010: Entra derives the resource from the
 * scope and refuses another one beside it. Undefined for any other error.
 */
export function resourceHint(error: string | undefined, description: string | undefined): string | undefined {
  if (error !== 'invalid_target' && description?.includes('AADSTS9010010') !== true) return undefined
  return 'The server refuses the `resource` parameter: set the option `resource` to what it expects, or to false.'
}

/** What to look at when a server calls a client unknown or does not believe it (`invalid_client`). */
export function clientHint(source: 'static' | 'metadata-document' | 'dynamic'): string {
  const hints = {
    static:
      'Compare id, secret and authentication method in `clientInformation` with what is registered at the server.',
    'metadata-document': 'The client id is the URL of a metadata document: the server must be able to read it.',
    dynamic: 'The client was registered dynamically: the server no longer knows it, or expects another authentication.',
  }
  return hints[source]
}

/** How the clocks differ by the `Date` of an answer (RFC 9110 §6.6.1); undefined when they agree or it has none. */
function clockDifference(date: string | undefined, now: number): string | undefined {
  const difference = now - Date.parse(date ?? '')
  if (!(Math.abs(difference) > worthMentioning)) return undefined
  const seconds = Math.round(Math.abs(difference) / 1000)
  return `The clock of this machine is ${seconds} s ${difference > 0 ? 'ahead of' : 'behind'} the server's`
}
