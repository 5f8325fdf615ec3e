import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios'
import { OAuthFlowError } from '../errors'
import type { Refusal } from '../need'
import { finalUrl } from './protected-urls'
import { redactResponse } from './redact'
import type { TokenSet } from '../storage/record'

/** The 401 is the caller's; its `cause` says why nothing more was tried. */
export function explain(error: Error | undefined, reason: OAuthFlowError): void {
  if (error !== undefined && error.cause === undefined) error.cause = reason
}

/** Why a request whose token has just been renewed is not sent a third time. */
export function stillRefused(
  config: InternalAxiosRequestConfig,
  { token_type: type }: TokenSet,
  refusal: Refusal | undefined,
): OAuthFlowError {
  if (type === 'Bearer' && refusal?.scheme === 'DPoP') {
    return new OAuthFlowError('The resource takes tokens bound to a key only, and this one is not.', {
      code: 'OAUTH_DPOP_UNSUPPORTED',
      endpoint: finalUrl(config),
      status: 401,
      hint: "Set `dpop: 'required'`; where it is set, the authorization server does not bind tokens.",
    })
  }
  return new OAuthFlowError('The resource refuses a token that was issued for it moments ago.', {
    code: 'OAUTH_LOOP',
    endpoint: finalUrl(config),
    status: 401,
    hint: 'Compare scope and audience of the token with what the resource expects, and the clocks of both servers.',
  })
}

/** The failure of a flow is shared by all who waited for it; each has the answer to its own request. */
export function withResponse(error: OAuthFlowError, response: AxiosResponse): OAuthFlowError {
  return OAuthFlowError.withResponse(error, redactResponse(response))
}

/** The reason to reject a request that would have to be sent again and cannot be. */
export function notReplayable(config: InternalAxiosRequestConfig, reason = 'The token was refused'): OAuthFlowError {
  return new OAuthFlowError(`${reason} and the request cannot be sent again: its body is a consumed stream.`, {
    code: 'OAUTH_NOT_REPLAYABLE',
    endpoint: finalUrl(config),
    hint: 'Send the request again with a new stream; what was missing is there by now.',
  })
}
