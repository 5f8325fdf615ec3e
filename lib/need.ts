import type { AuthorizationChallenge } from './protocol/challenge'

/** A refusal by the resource: the challenge and where it came from. */
export interface Refusal extends AuthorizationChallenge {
  /** The URL of the response that carried the challenge. */
  readonly url: string
}

/** Why a token is asked for, which decides what may be done for it. */
export interface Need {
  /** The access token that was refused; the same one is not handed out again. */
  readonly refused?: string
  readonly refusal?: Refusal
  /** `MCP-Protocol-Version` of the request that needs the token. */
  readonly protocolVersion?: string
  /** Scope needed besides what is granted. */
  readonly scope?: string
  /** Milliseconds that the token must still be valid. */
  readonly minValidity?: number
  /** Renew although the present token is still good (the advisory window); such a renewal asks nobody. */
  readonly early?: boolean
  /** A client id that the server has just called unknown. */
  readonly rejectedClient?: string
  /** The sign-in is finished elsewhere (`startAuthorization`): no receiver is opened for it. */
  readonly unattended?: boolean
  /** A sign-in was asked for in so many words: present tokens do not satisfy it. */
  readonly signIn?: boolean
}

const firstVersionWithResource = '2025-06-18'

/** Whether a request that speaks this MCP version expects the `resource` parameter; the dates compare as text. */
export function speaksResourceParameter(protocolVersion: string | undefined): boolean {
  return protocolVersion !== undefined && protocolVersion >= firstVersionWithResource
}
