const { OAuthFlowError, isOAuthFlowError } = require('axios-oauth2')
const node = require('axios-oauth2/node')

test('the package works under Jest as it comes', () => {
  expect(isOAuthFlowError(new OAuthFlowError('it is', { code: 'OAUTH_ABORTED' }))).toBe(true)
  expect(Object.keys(node)).not.toHaveLength(0)
})
