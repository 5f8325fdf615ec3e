/** Specs run as CommonJS through swc; packages that exist only as ES modules are transformed as well. */
const esmOnly = ['jose', 'oauth4webapi']

/** `AXIOS=axios-oldest` runs the specs with the lowest axios that the peer range admits (`npm run test:oldest-axios`). */
const axios = process.env.AXIOS === undefined ? {} : { '^axios$': process.env.AXIOS }

export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/spec'],
  testMatch: ['**/*.spec.ts'],
  // The sources stand for the package; what the packed package does is the subject of spec/package.
  moduleNameMapper: {
    ...axios,
    '^axios-oauth2$': '<rootDir>/lib/index.ts',
    '^axios-oauth2/(\\w+)$': '<rootDir>/lib/$1/index.ts',
  },
  transform: {
    '^.+\\.[cm]?[jt]s$': [
      '@swc/jest',
      { swcrc: false, jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
  collectCoverageFrom: ['lib/**/*.ts'],
}
