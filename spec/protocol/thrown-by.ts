import { OAuthFlowError } from '../../lib/errors'

/** The error of this library that a call throws. Fails when it throws another one, or none. */
export function thrownBy(call: () => unknown): OAuthFlowError {
  try {
    call()
  } catch (error) {
    if (error instanceof OAuthFlowError) return error
    throw error
  }
  throw new Error('Nothing was thrown.')
}
