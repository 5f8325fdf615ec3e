import { endpointOf, isOAuthFlowError, OAuthDiscoveryError, type OAuthFlowError } from '../errors'
import { isTransientStatus, retryAfterOf, type Http, type HttpResponse } from '../http'
import { isDamagedJsonObject, parseJsonObject, type JsonObject } from '../protocol/json'

/** One location that was asked for a metadata document, and what became of it. */
export interface Probe {
  /** Without its query, which may hold what is secret of a server URL. */
  readonly url: string
  readonly status: number | undefined
  readonly outcome: string
}

/** Fetches metadata documents and judges what each answer proves (THREATS §2, D3). */
export class MetadataDocuments {
  readonly #http: Http
  readonly #now: () => number
  readonly #headers: Readonly<Record<string, string>>
  /** Every location asked, in order. */
  readonly probes: Probe[] = []

  constructor(o: { http: Http; now: () => number; protocolVersion: string | undefined }) {
    this.#http = o.http
    this.#now = o.now
    this.#headers = {
      Accept: 'application/json',
      ...(o.protocolVersion === undefined ? {} : { 'MCP-Protocol-Version': o.protocolVersion }),
    }
  }

  /**
   * The first document that `read` accepts. A location without document leads to the next one; so does a document that
   * `read` refuses with `OAUTH_METADATA_INVALID`, but if no other is valid that error is the outcome, never "absent".
   * Anything that does not prove absence (an outage, a redirect, a refused URL) ends the search.
   */
  async first<T>(urls: readonly string[], read: (document: JsonObject, url: string) => T): Promise<T | undefined> {
    let invalid: OAuthFlowError | undefined
    for (const url of urls) {
      const document = await this.#fetch(url)
      if (document === undefined) continue
      try {
        const accepted = read(document, url)
        this.#note(url, 200, 'document')
        return accepted
      } catch (error) {
        if (!(error instanceof OAuthDiscoveryError)) throw error
        this.#note(url, 200, error.code)
        if (error.code !== 'OAUTH_METADATA_INVALID') throw error
        invalid ??= error
      }
    }
    if (invalid !== undefined) throw invalid
    return undefined
  }

  /** The locations and their answers in one line, for an error. */
  summary(): string {
    return this.probes.map(({ url, status, outcome }) => `${url} (${status ?? 'no answer'}: ${outcome})`).join(', ')
  }

  async #fetch(url: string): Promise<JsonObject | undefined> {
    let response: HttpResponse
    try {
      response = await this.#http.send({ phase: 'discovery', method: 'GET', url, headers: this.#headers })
    } catch (error) {
      if (isOAuthFlowError(error)) this.#note(url, error.status, error.code)
      throw error
    }
    const { status } = response
    if (status === 200) return this.#document(url, response)
    if (isTransientStatus(status)) throw this.#temporary(response)
    if (status >= 400) {
      this.#note(url, status, 'absent')
      return undefined
    }
    throw this.#invalid(response, `answered ${status}, which is neither a document nor its absence`)
  }

  #document(url: string, response: HttpResponse): JsonObject | undefined {
    const document = parseJsonObject(response.body)
    if (document !== undefined) return document
    if (isDamagedJsonObject(response.body)) throw this.#invalid(response, 'has text that was damaged on its way')
    this.#note(url, 200, 'not a JSON object')
    return undefined
  }

  #invalid({ url, status }: HttpResponse, defect: string): OAuthDiscoveryError {
    this.#note(url, status, 'not a document')
    return new OAuthDiscoveryError(`The metadata at ${shown(url)} cannot be used: it ${defect}.`, {
      code: 'OAUTH_METADATA_INVALID',
      endpoint: url,
      status,
    })
  }

  #temporary(response: HttpResponse): OAuthDiscoveryError {
    const { url, status } = response
    this.#note(url, status, 'temporary')
    return new OAuthDiscoveryError(`${shown(url)} answered ${status}: the server is temporarily not able to say.`, {
      code: 'OAUTH_TEMPORARY',
      retryable: true,
      endpoint: url,
      status,
      retryAfter: retryAfterOf(response, this.#now()),
    })
  }

  #note(url: string, status: number | undefined, outcome: string): void {
    this.probes.push({ url: shown(url), status, outcome })
  }
}

function shown(url: string): string {
  return endpointOf(url) ?? url
}
