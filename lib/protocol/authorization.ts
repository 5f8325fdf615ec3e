export {
  authorizationParameters,
  buildAuthorizationUrl,
  buildPushedAuthorizationUrl,
  type AuthorizationRequest,
} from './authorization-url'
export {
  checkHostRelation,
  checkIss,
  equalConstantTime,
  parseAuthorizationResponse,
  readCode,
  type AuthorizationResponse,
} from './authorization-response'
