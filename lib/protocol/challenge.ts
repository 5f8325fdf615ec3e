import { Scanner } from './scanner'

/** One challenge of a `WWW-Authenticate` field (RFC 9110 §11.6.1). */
export interface Challenge {
  /** The scheme in lower case. */
  readonly scheme: string
  /** The values of each parameter in the order sent, by the name in lower case; a repeated one has several. */
  readonly params: ReadonlyMap<string, readonly string[]>
  /** The data of a challenge such as `Negotiate abc==`, which has no parameters. */
  readonly token68?: string
}

/** What a resource asks for in its `Bearer` and `DPoP` challenges (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1). */
export interface AuthorizationChallenge {
  readonly scheme: 'Bearer' | 'DPoP'
  readonly error?: string
  readonly errorDescription?: string
  readonly scope?: string
  /** As the server wrote them, in order; {@link resolveResourceMetadata} makes URLs of them. */
  readonly resourceMetadata: readonly string[]
  /** The algorithms that the resource accepts for proofs, of a `DPoP` challenge. */
  readonly algs?: string
  /** Whether a `DPoP` challenge asks for a nonce (`use_dpop_nonce`, RFC 9449 §9). */
  readonly dpopErrors: boolean
}

/** Finds a response header without regard to case, and answers its value in whatever shape an adapter keeps it. */
export type HeaderLookup = (name: string) => unknown

interface Draft {
  readonly scheme: string
  readonly params: Map<string, string[]>
  token68?: string
  broken: boolean
}

const maxHeaderLength = 16_384

/**
 * Reads every challenge of a `WWW-Authenticate` field (RFC 9110 §11.6.1) given as one line, several lines or several
 * lines joined by commas. A challenge with a syntax error is left out, a line above 16 KB is not read, and what is no
 * header has no challenges: it never throws.
 */
export function parseChallenges(header: unknown): readonly Challenge[] {
  const drafts: Draft[] = []
  for (const line of headerLines(header)) {
    if (line.length <= maxHeaderLength) readLine(new Scanner(line), drafts)
  }
  return drafts.filter((draft) => !draft.broken).map(toChallenge)
}

/**
 * Reads what the resource asks for; undefined without a `Bearer` or `DPoP` challenge. Parameters come from the scheme
 * that the request used, or else the one listed first; what that scheme lacks is taken from the other. A repeated or
 * empty parameter counts as absent, except that every `resource_metadata` is kept.
 */
export function readChallenge(
  headers: HeaderLookup,
  usedScheme?: 'Bearer' | 'DPoP',
): AuthorizationChallenge | undefined {
  const challenges = parseChallenges(challengeHeader(headers)).filter(({ scheme }) => isOurs(scheme))
  const preferred = usedScheme?.toLowerCase() ?? challenges[0]?.scheme
  const own = challenges.filter(({ scheme }) => scheme === preferred)
  const other = challenges.filter(({ scheme }) => scheme !== preferred)
  const ordered = [...own, ...other]
  const [first] = ordered
  if (first === undefined) return undefined
  const dpop = ordered.filter(({ scheme }) => scheme === 'dpop')
  const [error, errorDescription, scope] = ['error', 'error_description', 'scope'].map((name) => find(ordered, name))
  const algs = find(dpop, 'algs')
  const locations = resourceMetadataOf(own)
  return {
    scheme: first.scheme === 'dpop' ? 'DPoP' : 'Bearer',
    ...(error !== undefined && { error }),
    ...(errorDescription !== undefined && { errorDescription }),
    ...(scope !== undefined && { scope }),
    ...(algs !== undefined && { algs }),
    resourceMetadata: locations.length > 0 ? locations : resourceMetadataOf(other),
    dpopErrors: dpop.some((challenge) => single(challenge, 'error') === 'use_dpop_nonce'),
  }
}

/**
 * Makes a URL of a `resource_metadata` value: an absolute http(s) URL stays as it is, to be checked like every URL
 * that a server chose, and a path with one leading slash is resolved against the response's origin (RFC 3986 §5.2).
 * Everything else is undefined: `https:evil` and `//evil` are relative references that lead elsewhere.
 */
export function resolveResourceMetadata(value: string, responseUrl: string): string | undefined {
  if (/^https?:\/\/[^/\\?#]/i.test(value)) return value
  // URL parsing strips tabs and newlines, which would turn "/\t/evil" into "//evil".
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (!/^\/(?![/\\])/.test(value) || /[\x00-\x20\x7f]/.test(value) || !URL.canParse(responseUrl)) return undefined
  const { origin } = new URL(responseUrl)
  return URL.canParse(value, origin) ? new URL(value, origin).href : undefined
}

function readLine(input: Scanner, drafts: Draft[]): void {
  while (!input.atEnd) {
    const wellFormed = readElement(input, drafts)
    const closed = input.skipElement()
    const draft = drafts.at(-1)
    if (draft !== undefined && !(wellFormed && closed)) draft.broken = true
    input.skip(',')
  }
}

/** Reads a list element: a new challenge with its first parameter, or a further parameter of the challenge before. */
function readElement(input: Scanner, drafts: Draft[]): boolean {
  input.skipBlanks()
  if (input.atElementEnd) return true
  const name = input.takeToken().toLowerCase()
  const spaced = input.skipBlanks()
  if (name === '') return false
  if (input.skip('=')) return readValue(input, name, drafts.at(-1))
  const draft: Draft = { scheme: name, params: new Map(), broken: false }
  drafts.push(draft)
  if (input.atElementEnd) return true
  if (!spaced) return false
  const token68 = input.takeToken68()
  if (token68 === undefined) return readParameter(input, draft)
  draft.token68 = token68
  return true
}

function readParameter(input: Scanner, draft: Draft): boolean {
  const name = input.takeToken().toLowerCase()
  input.skipBlanks()
  return name !== '' && input.skip('=') && readValue(input, name, draft)
}

/** Reads a value into the challenge; a parameter that follows no scheme, or token68 data, is read past. */
function readValue(input: Scanner, name: string, draft: Draft | undefined): boolean {
  input.skipBlanks()
  const quoted = input.atQuote
  const value = quoted ? input.takeQuoted() : input.takeUnquoted()
  if (value === undefined || (!quoted && input.atQuote)) return false
  input.skipBlanks()
  // Text without quotes that goes on after a blank is cut there (real servers send error_description so) and is never
  // read as parameters; behind a closing quote nothing may follow.
  if (quoted && !input.atElementEnd) return false
  if (draft === undefined || draft.token68 !== undefined) return true
  const values = draft.params.get(name)
  if (values === undefined) draft.params.set(name, [value])
  else values.push(value)
  return true
}

/** AWS API Gateway renames the header of the server behind it. */
function challengeHeader(headers: HeaderLookup): unknown {
  const header = headers('www-authenticate')
  return headerLines(header).length > 0 ? header : headers('x-amzn-remapped-www-authenticate')
}

function headerLines(header: unknown): readonly string[] {
  const lines: readonly unknown[] = Array.isArray(header) ? header : [header]
  return lines.filter((line): line is string => typeof line === 'string' && line !== '')
}

function isOurs(scheme: string): boolean {
  return scheme === 'bearer' || scheme === 'dpop'
}

/** The value of a parameter that stands once and is not blank. */
function single(challenge: Challenge, name: string): string | undefined {
  const [value = '', ...repeated] = challenge.params.get(name) ?? []
  return repeated.length > 0 || value.trim() === '' ? undefined : value
}

function find(challenges: readonly Challenge[], name: string): string | undefined {
  return challenges.map((challenge) => single(challenge, name)).find((value) => value !== undefined)
}

function resourceMetadataOf(challenges: readonly Challenge[]): readonly string[] {
  const values = challenges.flatMap(({ params }) => params.get('resource_metadata') ?? [])
  return values.filter((value) => value !== '')
}

function toChallenge({ scheme, params, token68 }: Draft): Challenge {
  return token68 === undefined ? { scheme, params } : { scheme, params, token68 }
}
