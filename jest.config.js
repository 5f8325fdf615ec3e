/** Specs run as CommonJS through swc; packages that exist only as ES modules are transformed as well. */
const esmOnly = ['jose', 'oauth4webapi']

module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/spec'],
  testMatch: ['**/*.spec.ts'],
  transform: {
    '^.+\\.[cm]?[jt]s$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
  collectCoverageFrom: ['lib/**/*.ts'],
}
