import type { OAuthContext } from './context'
import type { Discovery } from './discovery'
import type { Registrar } from './registrar'
import type { TokenEndpoint } from './token-endpoint'

/** The verbs of one provider, over one context. */
export interface Verbs {
  readonly context: OAuthContext
  readonly discovery: Discovery
  readonly registrar: Registrar
  readonly tokenEndpoint: TokenEndpoint
}
