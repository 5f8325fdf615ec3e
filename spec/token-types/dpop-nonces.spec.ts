import { DpopNonces } from '../../lib/token-types/dpop-nonces'

describe('DpopNonces', () => {
  it('gives the newest nonce of an origin, whatever the path [dpop.nonce-kept] [DP-02]', () => {
    const nonces = new DpopNonces()
    nonces.note('https://a.example/x', 'first')
    nonces.note('https://a.example/y?z', 'second')
    expect(nonces.newest('https://a.example:443/')).toBe('second')
  })

  it('keeps origins apart [dpop.nonce-kept] [DP-03]', () => {
    const nonces = new DpopNonces()
    nonces.note('https://a.example', 'a')
    nonces.note('http://a.example', 'plain')
    expect(nonces.newest('https://b.example')).toBeUndefined()
    expect(nonces.newest('https://a.example')).toBe('a')
  })

  it.each([undefined, '', 'n'.repeat(2 ** 20), 'a\r\nb'])(
    'keeps the former nonce when the header is no nonce [DP-05]',
    (header) => {
      const nonces = new DpopNonces()
      nonces.note('https://a.example', 'good')
      nonces.note('https://a.example', header)
      expect(nonces.newest('https://a.example')).toBe('good')
    },
  )

  it('forgets the origin that was not used for longest [dpop.nonce-kept] [DP-05]', () => {
    const nonces = new DpopNonces()
    for (let i = 0; i < 100; i += 1) nonces.note(`https://${i}.example`, `n${i}`)
    expect(nonces.newest('https://0.example')).toBe('n0')
    nonces.note('https://new.example', 'new')
    expect(nonces.newest('https://1.example')).toBeUndefined()
    expect(nonces.newest('https://0.example')).toBe('n0')
    expect(nonces.newest('https://new.example')).toBe('new')
  })
})
