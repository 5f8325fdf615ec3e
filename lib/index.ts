import './axios-augmentation'

export { oauth } from './oauth'
export { OAuthClientProvider, type ProviderDescription } from './provider'
export { toFetch } from './to-fetch'

export type { AuthorizationCallback, ClientInformation, OAuthOptions } from './options'
export type { DpopKeyPair, DpopOption, DpopOptions } from './dpop-option'
export type { OAuthRequestOptions } from './adapter'
export type { ClientSource, OAuthEventBase, OAuthEvents } from './events'
export type { AuthorizationReceiver, ReceiverSession } from './receiver'

export { authorizationCode, PkceFlow, type CodeSignIn } from './pkce-flow'
export { clientCredentials } from './grants/client-credentials'
export { deviceCode, type DeviceCodeOptions, type UserCode } from './grants/device-code'
export { enterpriseManaged, type EnterpriseManagedOptions } from './grants/enterprise-managed'
export type { IdentityProviderOptions } from './grants/identity-provider'
export { jwtBearer, type JwtBearerOptions } from './grants/jwt-bearer'
export { tokenExchange, type TokenExchangeOptions } from './grants/token-exchange'
export type { Grant, GrantRequest, InteractiveFlow, InteractiveGrant, SignIn, SilentGrant } from './grants/grant'
export type {
  AuthenticatedRequest,
  AuthenticationContext,
  ClientAuthentication,
} from './client-authentication/client-authentication'

export { privateKeyJwt } from './client-authentication/private-key-jwt'
export type { TextSource } from './callback'
export type { ClientAssertion, ClientKey } from './client-authentication/client-key'
export type { PrivateJwk, PrivateKey, SigningFunction, WebCryptoKey } from './protocol/signing-key'

export { OAuthContext } from './context'
export { Discovery } from './discovery'
export { Registrar, type RegistrationRequest } from './registrar'
export { TokenEndpoint, type TokenRequest } from './token-endpoint'
export { PkceParameters } from './protocol/pkce'
export type { Need, Refusal } from './need'
export type { Lease } from './state/lease'
export type { Probe } from './metadata/metadata-documents'
export type { Settings } from './settings'

export { MemoryTokenStorage } from './storage/memory'
export { fromTokenStorage, type FourMethodStorage, type SdkStorage } from './storage/four-methods'
export type { TokenStorage } from './storage/token-storage'
export type { TokenSet } from './storage/record'

export { clientIdMetadataDocument, type ClientMetadata } from './protocol/registration'
export type { AuthorizationServerMetadata, ProtectedResourceMetadata } from './protocol/metadata'

export {
  isOAuthFlowError,
  OAuthAuthorizationError,
  OAuthDiscoveryError,
  OAuthFlowError,
  OAuthRegistrationError,
  OAuthScopeError,
  OAuthTokenError,
  type OAuthErrorCode,
  type OAuthErrorDetails,
  type OAuthPhase,
} from './errors'
