import { OAuthFlowError } from '../../lib/errors'

/** The error of this library that a promise rejects with. Fails when it rejects with another one, or not at all. */
export async function failureOf(promise: Promise<unknown>): Promise<OAuthFlowError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof OAuthFlowError) return error
    throw error
  }
  throw new Error('Nothing was thrown.')
}
