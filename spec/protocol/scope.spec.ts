import fc from 'fast-check'
import { OAuthDiscoveryError, OAuthScopeError } from '../../lib/errors'
import {
  checkScope,
  coversScope,
  formatScope,
  missingScope,
  parseScope,
  selectScope,
  unionScope,
} from '../../lib/protocol/scope'
import type { ScopeSources } from '../../lib/protocol/scope'

const token = fc.constantFrom('a', 'b', 'c', 'read', 'write')
const scope = fc.option(
  fc.array(token, { maxLength: 5 }).map((tokens) => tokens.join(' ')),
  { nil: undefined },
)

describe('parseScope, formatScope', () => {
  it.each([
    ['read write', ['read', 'write']],
    ['  read   write ', ['read', 'write']],
    ['write read write', ['write', 'read']],
    ['channels:read,chat:write', ['channels:read', 'chat:write']],
    ['a, b ,c d', ['a', 'b', 'c', 'd']],
    ['a\tb\nc', ['a', 'b', 'c']],
    ['Read read', ['Read', 'read']],
    ['', []],
    [' , ', []],
    [null, []],
    [undefined, []],
    [7, []],
    [['read'], []],
    [{ 0: 'read', length: 1 }, []],
  ])('read %j as %j [scope.lenient-format] [PR-25]', (text, expected) => {
    expect(parseScope(text)).toEqual(expected)
  })

  it('write each token once and never an empty scope [scope.lenient-format] [WA-35]', () => {
    expect(formatScope(['a', 'b', 'a'])).toBe('a b')
    expect(formatScope([])).toBeUndefined()
  })

  it('round-trip, and never throw [scope.lenient-format]', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.anything()), (text) => {
        const tokens = parseScope(text)
        expect(parseScope(formatScope(tokens))).toEqual(tokens)
      }),
    )
  })
})

describe('unionScope, missingScope, coversScope', () => {
  it('keep the order of first appearance [step-up.union]', () => {
    expect(unionScope('b a', undefined, 'c a', '')).toBe('b a c')
    expect(unionScope(undefined, '', ' ')).toBeUndefined()
    expect(unionScope()).toBeUndefined()
  })

  it('tell what is missing [step-up.condition] [step-up.no-gain]', () => {
    expect(missingScope('a b', 'b c d')).toBe('c d')
    expect(missingScope('a,b', 'b a')).toBeUndefined()
    expect(missingScope(undefined, 'a')).toBe('a')
    expect(missingScope('a', undefined)).toBeUndefined()
    expect([coversScope('a b', 'b'), coversScope('a', 'a b'), coversScope(undefined, undefined)]).toEqual([
      true,
      false,
      true,
    ])
  })

  it('form a semilattice with containment as its partial order [step-up.union]', () => {
    const set = (text: string | undefined): Set<string> => new Set(parseScope(text))
    fc.assert(
      fc.property(scope, scope, scope, (a, b, c) => {
        const union = unionScope(a, b)
        expect(unionScope(union, a, b)).toBe(union)
        expect(unionScope(unionScope(a, b), c)).toBe(unionScope(a, unionScope(b, c)))
        expect(set(union)).toEqual(set(unionScope(b, a)))
        expect([coversScope(union, a), coversScope(union, b), coversScope(a, a)]).toEqual([true, true, true])
        if (coversScope(a, b) && coversScope(b, c)) expect(coversScope(a, c)).toBe(true)
        if (coversScope(a, b) && coversScope(b, a)) expect(set(a)).toEqual(set(b))
        expect(set(unionScope(a, missingScope(a, b)))).toEqual(set(union))
      }),
    )
  })
})

describe('checkScope', () => {
  it.each(['', 'read', 'read write', 'https://graph.example/.default', 'read &state=x#', '!#[]~'])(
    'answers %j unchanged [WA-29]',
    (text) => {
      expect(checkScope(text, 'challenge')).toBe(text)
    },
  )

  it.each(['a"b', 'a\\b', 'a\tb', 'a\nb', 'caf\xe9', 'a\u0000', 'a\x7f', '\u202egnp'])(
    'refuses the characters of %j [WA-29]',
    (text) => {
      expect(() => checkScope(text, 'challenge')).toThrow(OAuthDiscoveryError)
      expect(() => checkScope(text, 'challenge')).toThrow(expect.objectContaining({ code: 'OAUTH_METADATA_INVALID' }))
    },
  )

  it('refuses more than 100 names or 4 KB with a short message [WA-28]', () => {
    const names = (count: number): string => Array.from({ length: count }, (_, index) => `s${index}`).join(' ')
    expect(checkScope(names(100), 'challenge')).toBe(names(100))
    expect(checkScope('a '.repeat(2000), 'challenge')).toHaveLength(4000)
    expect(checkScope('a'.repeat(4096), 'challenge')).toHaveLength(4096)
    for (const text of [names(101), names(1500), names(10_000), names(101).replaceAll(' ', ','), 'a'.repeat(4097)]) {
      expect(() => checkScope(text, 'challenge')).toThrow(
        expect.objectContaining({
          code: 'OAUTH_METADATA_INVALID',
          message: expect.stringMatching(/^.{1,400}challenge.{1,100}$/),
        }),
      )
    }
  })
})

describe('selectScope', () => {
  const supported = ['p', 'q']

  it.each<[ScopeSources, string | undefined]>([
    [{ challenged: 'read' }, 'read'],
    [{ challenged: 'read', supported }, 'read'],
    [{ challenged: 'read', configured: 'own', supported }, 'own read'],
    [{ challenged: 'read own', configured: 'own' }, 'own read'],
    [{ configured: 'own', supported }, 'own'],
    [{ supported }, 'p q'],
    [{ challenged: '', configured: ' ', supported }, 'p q'],
    [{}, undefined],
    [{ supported: [] }, undefined],
  ])('chooses from %j: %s [scope.order] [WA-01] [WA-35]', (sources, expected) => {
    expect(selectScope(sources)).toBe(expected)
  })

  it.each<[ScopeSources, string]>([
    [{ requested: 'x', granted: 'a b' }, 'a b x'],
    [{ requested: 'x', supported }, 'x'],
    [{ requested: 'x', configured: 'own', challenged: 'read', supported }, 'own read x'],
    [{ requested: 'a', granted: 'a' }, 'a'],
  ])('asks for what a request wants besides the rest, from %j: %s [scope.per-request]', (sources, expected) => {
    expect(selectScope(sources)).toBe(expected)
  })

  it('keeps what was granted in a step-up [step-up.union]', () => {
    expect(selectScope({ configured: 'own', granted: 'a own b', challenged: 'b write', supported })).toBe(
      'own a b write',
    )
    expect(selectScope({ granted: 'a', supported })).toBe('a p q')
  })

  it.each<[ScopeSources, string | undefined]>([
    [{ configured: 'a', offlineAccess: true }, 'a offline_access'],
    [{ supported, offlineAccess: true }, 'p q offline_access'],
    [{ configured: 'offline_access a', offlineAccess: true }, 'offline_access a'],
    [{ configured: 'a', offlineAccess: true, ceiling: 'a b offline_access' }, 'a offline_access'],
  ])('appends offline_access for %j: %s [offline.added]', (sources, expected) => {
    expect(selectScope(sources)).toBe(expected)
  })

  it.each<[ScopeSources, string | undefined]>([
    [{ configured: 'a' }, 'a'],
    [{ configured: 'a', offlineAccess: false }, 'a'],
    [{ offlineAccess: true }, undefined],
    [{ offlineAccess: true, configured: 'x', ceiling: 'offline_access' }, undefined],
    [{ configured: 'a', offlineAccess: true, ceiling: 'a' }, 'a'],
  ])('does not append it for %j: %s [offline.not-added] [scope.ceiling]', (sources, expected) => {
    expect(selectScope(sources)).toBe(expected)
  })

  it.each<[ScopeSources, string | undefined]>([
    [{ ceiling: 'read', configured: 'read write', granted: 'admin' }, 'read'],
    [{ ceiling: 'read q', supported }, 'q'],
    [{ ceiling: 'x', supported }, undefined],
    [{ ceiling: 'read write', challenged: 'read' }, 'read'],
    [{ ceiling: '', configured: 'a' }, undefined],
  ])('stays below the ceiling for %j: %s [scope.ceiling]', (sources, expected) => {
    expect(selectScope(sources)).toBe(expected)
  })

  it.each<[ScopeSources, string]>([
    [{ ceiling: 'read', challenged: 'read write' }, 'read write'],
    [{ ceiling: 'read', requested: 'admin' }, 'admin'],
    [{ ceiling: '', challenged: 'read' }, 'read'],
    [{ ceiling: 'read', challenged: 'read', requested: 'x', granted: 'x' }, 'read x'],
  ])('refuses %j, which needs %s [scope.ceiling]', (sources, requiredScope) => {
    expect(() => selectScope(sources)).toThrow(OAuthScopeError)
    expect(() => selectScope(sources)).toThrow(expect.objectContaining({ code: 'OAUTH_SCOPE_DENIED', requiredScope }))
  })

  it('does not ask for everything that a resource lists [PR-26]', () => {
    const many = Array.from({ length: 10_000 }, (_, index) => `s${index}`)
    expect(selectScope({ supported: many })).toBeUndefined()
    expect(selectScope({ supported: many.slice(0, 100) })?.split(' ')).toHaveLength(100)
    expect(selectScope({ supported: ['ok', 'a"b', 'caf\xe9', ''] })).toBe('ok')
  })

  it('changes nothing it was given [scope.config-unchanged]', () => {
    const sources = Object.freeze({ configured: 'a', challenged: 'b', supported: Object.freeze(['p']), granted: 'c' })
    expect(selectScope(sources)).toBe(selectScope(sources))
    expect(sources).toEqual({ configured: 'a', challenged: 'b', supported: ['p'], granted: 'c' })
  })

  it('is bounded by its sources and the ceiling, and stable [scope.never-guessed] [scope.ceiling] [step-up.union]', () => {
    const sources = fc.record({
      challenged: scope,
      configured: scope,
      requested: scope,
      granted: scope,
      ceiling: scope,
      supported: fc.option(fc.array(token), { nil: undefined }),
    })
    fc.assert(
      fc.property(sources, (o) => {
        const needed = unionScope(o.challenged, o.requested)
        if (o.ceiling !== undefined && !coversScope(o.ceiling, needed)) {
          expect(() => selectScope(o)).toThrow(OAuthScopeError)
          return
        }
        const selected = selectScope(o)
        expect(coversScope(selected, needed)).toBe(true)
        expect(coversScope(unionScope(o.configured, o.granted, needed, o.supported?.join(' ')), selected)).toBe(true)
        if (o.ceiling === undefined) expect(coversScope(selected, unionScope(o.configured, o.granted))).toBe(true)
        else expect(coversScope(o.ceiling, selected)).toBe(true)
        expect(parseScope(selectScope({ ...o, granted: selected })).toSorted()).toEqual(parseScope(selected).toSorted())
      }),
    )
  })
})
