export {
  authorizationParameters,
  buildAuthorizationUrl,
  buildPushedAuthorizationUrl,
  type AuthorizationRequest,
} from './authorization-url'
export {
  checkHostRelation,
  checkIss,
  parseAuthorizationResponse,
  readCode,
  type AuthorizationResponse,
} from './authorization-response'
