/**
 * Only what the compiler cannot see; layout is prettier's. Each rule says whom it protects.
 * The direction of imports is held by spec/imports.spec.ts.
 */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import tseslint from 'typescript-eslint'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

/** For every file, JavaScript included. */
const everywhere = {
  eqeqeq: ['error', 'always', { null: 'ignore' }],
  'no-var': 'error',
  'prefer-const': 'error',
  // Server text is cleaned by expressions that name control characters; each says so.
  'no-control-regex': 'error',
  // An expression that backtracks or matches by accident is a hole in a parser of untrusted text.
  'no-empty-character-class': 'error',
  'no-misleading-character-class': 'error',
  'no-useless-backreference': 'error',
  // An error that replaces another in `finally` hides what went wrong.
  'no-unsafe-finally': 'error',
  'no-debugger': 'error',
  // Data of a server must never become code.
  'no-eval': 'error',
  'no-new-func': 'error',
  // State that was read before an `await` is stale behind it.
  'require-atomic-updates': ['error', { allowProperties: true }],
}

/** For TypeScript, with type information. */
const typed = {
  // Work that nobody awaits fails where nobody sees it, and outlives the lease it was done under.
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-misused-promises': 'error',
  '@typescript-eslint/await-thenable': 'error',
  // `return promise` inside `try` leaves before the promise fails: the `catch` and `finally` come too early.
  '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
  '@typescript-eslint/only-throw-error': 'error',
  '@typescript-eslint/prefer-promise-reject-errors': 'error',
  // A new member of a union must be decided upon wherever the union is.
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
  // Untrusted input is `unknown` until a validator has seen it.
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-unsafe-argument': 'error',
  '@typescript-eslint/no-unsafe-assignment': 'error',
  '@typescript-eslint/no-unsafe-call': 'error',
  '@typescript-eslint/no-unsafe-member-access': 'error',
  '@typescript-eslint/no-unsafe-return': 'error',
  '@typescript-eslint/no-non-null-assertion': 'error',
  '@typescript-eslint/no-unnecessary-type-assertion': 'error',
  // "[object Object]" in a URL or a message.
  '@typescript-eslint/no-base-to-string': 'error',
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
  '@typescript-eslint/restrict-plus-operands': 'error',
  '@typescript-eslint/unbound-method': 'error',
  // A type import that stays in the output loads a module for nothing, and can close a cycle.
  '@typescript-eslint/no-import-type-side-effects': 'error',
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
  '@typescript-eslint/consistent-type-exports': 'error',
  // `catch (error)` gives `any` to a promise's callback too.
  '@typescript-eslint/use-unknown-in-catch-callback-variable': 'error',
  // Users should not meet, and we should not use, what is on its way out.
  '@typescript-eslint/no-deprecated': 'error',
  // STYLE: no enum, no namespace, no default export; a public member is what has no #.
  'no-restricted-syntax': [
    'error',
    { selector: 'TSEnumDeclaration', message: 'Use a union of string literals.' },
    { selector: "TSModuleDeclaration[kind='namespace']", message: 'Use a module.' },
    { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
    { selector: "PropertyDefinition[accessibility='private']", message: 'Use #private.' },
    { selector: "MethodDefinition[accessibility='private'][kind!='constructor']", message: 'Use #private.' },
  ],
}

/** Specs hand over what is wrong on purpose and read bodies of any shape. */
const inSpecs = {
  '@typescript-eslint/no-unsafe-argument': 'off',
  '@typescript-eslint/no-unsafe-assignment': 'off',
  '@typescript-eslint/no-unsafe-call': 'off',
  '@typescript-eslint/no-unsafe-member-access': 'off',
  '@typescript-eslint/no-unsafe-return': 'off',
  '@typescript-eslint/no-non-null-assertion': 'off',
  '@typescript-eslint/unbound-method': 'off',
  '@typescript-eslint/no-deprecated': 'off',
}

export default tseslint.config(
  { ignores: ['dist/', '.dist-*/', 'coverage/', '.cache/', 'spec/package/consumer/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' }, rules: everywhere },
  {
    files: ['**/*.{ts,mts,cts}'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: root } },
    rules: typed,
  },
  { files: ['{spec,examples}/**/*.{ts,mts,cts}'], rules: inSpecs },
)
