import fc from 'fast-check'
import { isDamagedJsonObject, isDeeperThan, parseJsonObject } from '../../lib/protocol/json'

const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`

describe('parseJsonObject(body)', () => {
  it.each<[string, unknown, Record<string, unknown> | undefined]>([
    ['an object', '{"a":1}', { a: 1 }],
    ['an object in white space', ' \r\n{"a":1}\n', { a: 1 }],
    ['an object after a byte order mark', '\ufeff{"a":1}', { a: 1 }],
    ['an object that an adapter parsed', { a: [1] }, { a: [1] }],
    ['no members', '{}', {}],
    ['members without a value', '{"a":null,"b":{"c":null}}', { b: { c: null } }],
    ['an array', '[{"a":1}]', undefined],
    ['an array that an adapter parsed', [{ a: 1 }], undefined],
    ['null', 'null', undefined],
    ['a null that an adapter parsed', null, undefined],
    ['nothing', undefined, undefined],
    ['a text', '"a"', undefined],
    ['a number', '7', undefined],
    ['an empty body', '', undefined],
    ['a page', '<!doctype html><title>Sign in</title>', undefined],
    ['a cut object', '{"a":', undefined],
    ['two objects', '{"a":1}{"a":2}', undefined],
    ['bytes', new Uint8Array([123, 125]), undefined],
    ['a Map', new Map([['a', 1]]), undefined],
    ['a replacement character', '{"a":"https://api\ufffd.example"}', undefined],
    ['an escaped replacement character', '{"a":"\\ufffd"}', undefined],
    ['a replacement character further down', '{"a":[{"b":"\ufffd"}]}', undefined],
    ['half a surrogate pair', '{"a":"\\ud800"}', undefined],
    ['a whole surrogate pair', '{"a":"\\ud83d\\ude00"}', { a: '\u{1f600}' }],
  ])(
    'reads %s [as-metadata.null-members] [token.body-shapes] [PR-37] [PR-38] [PR-41] [PR-42] [PR-47]',
    (_, body, expected) => {
      expect(parseJsonObject(body)).toEqual(expected)
    },
  )

  it('gives own members only and leaves prototypes alone [PR-40]', () => {
    const hostile = '{"__proto__":{"resource":"https://evil.example"},"constructor":{"prototype":{"resource":1}}}'
    const document = parseJsonObject(hostile)
    expect(Object.keys(document ?? {})).toEqual(['constructor'])
    expect(Object.getPrototypeOf(document)).toBeNull()
    expect(document?.resource).toBeUndefined()
    expect(({} as Record<string, unknown>).resource).toBeUndefined()
  })

  it('walks a document of 100 000 levels without overflowing the stack [PR-43]', () => {
    const document = parseJsonObject(`{"a":${nested(100_000)}}`)
    expect(isDeeperThan(document, 32)).toBe(true)
  })

  it('survives objects that contain themselves, share members, or throw [PR-43]', () => {
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    let shared: unknown = []
    for (let level = 0; level < 200; level++) shared = [shared, shared]
    expect(parseJsonObject(cyclic)).toEqual({ self: cyclic })
    expect(isDeeperThan(cyclic, 32)).toBe(true)
    expect(isDeeperThan(parseJsonObject({ shared }), 32)).toBe(true)
    const throwing = Object.defineProperty({}, 'a', {
      enumerable: true,
      get: () => {
        throw new Error('no')
      },
    })
    expect(parseJsonObject(throwing)).toBeUndefined()
  })

  it('never throws and gives an object or nothing [PR-47]', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.string({ unit: 'binary' }), fc.json()), (body) => {
        const document = parseJsonObject(body)
        expect(document === undefined || Object.getPrototypeOf(document) === null).toBe(true)
      }),
    )
  })

  it('reads its own output as the same document [PR-38]', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const document = parseJsonObject(JSON.stringify(object))
        fc.pre(document !== undefined)
        expect(parseJsonObject(JSON.stringify(document))).toEqual(document)
      }),
    )
  })
})

describe('isDamagedJsonObject(body)', () => {
  it.each<[string, unknown, boolean]>([
    ['an object', '{"a":"b"}', false],
    ['an object with a replacement character', '{"a":"\ufffd"}', true],
    ['an object with half a surrogate pair', '{"a":["\\ud800"]}', true],
    ['an array with a replacement character', '["\ufffd"]', false],
    ['a page with a replacement character', '<p>\ufffd</p>', false],
    ['no text', undefined, false],
  ])('tells %s from what is no document [PR-47]', (_name, body, damaged) => {
    expect(isDamagedJsonObject(body)).toBe(damaged)
    if (damaged) expect(parseJsonObject(body)).toBeUndefined()
  })
})
