import fc from 'fast-check'
import { isLoopbackHost, isPrivateAddress } from '../../lib/protocol/address'

describe('isLoopbackHost', () => {
  it.each(['localhost', '127.0.0.1', '[::1]'])('accepts %s [as-metadata.https-endpoints]', (host) => {
    expect(isLoopbackHost(host)).toBe(true)
  })

  it.each([
    '',
    '127.0.0.2',
    '0.0.0.0',
    '[::]',
    'localhost.',
    'a.localhost',
    'localhost.example.com',
    '127.0.0.1.example.com',
  ])('refuses %j [as-metadata.https-endpoints]', (host) => {
    expect(isLoopbackHost(host)).toBe(false)
  })
})

describe('isPrivateAddress', () => {
  const spellings = [
    '2130706433',
    '0x7f.1',
    '0177.0.0.1',
    '127.1',
    '0',
    '[::]',
    '[::1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::a9fe:a9fe]',
  ]
  const others = [
    '[fd00::1]',
    '[fe80::1]',
    '100.64.0.1',
    '192.0.0.1',
    '198.18.0.1',
    'localhost.',
    'foo.localhost',
    'metadata.google.internal',
  ]
  it.each([...spellings, ...others])('refuses the host of https://%s/ [WA-27]', (host) => {
    expect(isPrivateAddress(new URL(`https://${host}/`).hostname)).toBe(true)
    expect(isPrivateAddress(host)).toBe(true)
  })

  it.each([
    ['0.0.0.0', '0.255.255.255'],
    ['10.0.0.0', '10.255.255.255'],
    ['100.64.0.0', '100.127.255.255'],
    ['127.0.0.0', '127.255.255.255'],
    ['168.63.129.16', '168.63.129.16'],
    ['169.254.0.0', '169.254.255.255'],
    ['172.16.0.0', '172.31.255.255'],
    ['192.0.0.0', '192.0.0.255'],
    ['192.168.0.0', '192.168.255.255'],
    ['198.18.0.0', '198.19.255.255'],
    ['224.0.0.0', '255.255.255.255'],
  ])('refuses %s to %s and nothing next to it [WA-19] [PR-21] [AS-22]', (first, last) => {
    const number = (text: string): number => text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0)
    const text = (value: number): string => [24, 16, 8, 0].map((bits) => Math.floor(value / 2 ** bits) % 256).join('.')
    expect([first, last].map(isPrivateAddress)).toEqual([true, true])
    const neighbours = [number(first) - 1, number(last) + 1].filter((value) => value > 0 && value < 2 ** 32).map(text)
    expect(neighbours.map((neighbour) => [neighbour, isPrivateAddress(neighbour)])).toEqual(
      neighbours.map((neighbour) => [neighbour, false]),
    )
  })

  it.each([
    '::',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe',
    '::10.0.0.1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::8.8.8.8',
    '2002:7f00:1::',
    '2002:c0a8:101::1',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '100::1',
    'fc00::1',
    'fdff:ffff::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '4000::1',
    'fd00:ec2::254',
    '1:2:3:4:5:6:7:8',
  ])('refuses %s with and without brackets [WA-20] [WA-27]', (address) => {
    expect(isPrivateAddress(address)).toBe(true)
    expect(isPrivateAddress(`[${address}]`)).toBe(true)
  })

  it.each([
    'LOCALHOST',
    'a.b.localhost',
    'localhost.',
    'a.localhost.',
    'metadata.google.internal.',
    '127.0.0.1.',
    '%31%30.0.0.1',
  ])('refuses the name %s [WA-27]', (name) => {
    expect(isPrivateAddress(name)).toBe(true)
  })

  it.each([
    '',
    ' ',
    'a b',
    'example.com/x',
    'x@example.com',
    'example.com:443',
    'g::1',
    '[::1',
    '1:2:3',
    '256.0.0.1',
    '%',
  ])('refuses %j, which is no host [WA-27]', (text) => {
    expect(isPrivateAddress(text)).toBe(true)
  })

  it.each([
    'example.com',
    'api.example.com.',
    'localhost.example.com',
    'notlocalhost',
    '10.0.0.1.example.com',
    'metadata.google.internal.example.com',
    '8.8.8.8',
    '203.0.113.9',
    '2606:4700::1111',
    '[2606:4700::1111]',
    '2606:4700::1111%eth0',
    '2a00:1450:4001:82b::200e',
    '2001:4860:4860::8888',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::1',
  ])('allows %s [WA-26]', (host) => {
    expect(isPrivateAddress(host)).toBe(false)
  })

  it('never throws and judges every spelling like the one of the URL parser [WA-27]', () => {
    const host = fc.oneof(
      fc.string(),
      fc.ipV4Extended(),
      fc.ipV6(),
      fc.domain(),
      fc.constantFrom('::', ':', '%', '[', ']'),
    )
    fc.assert(
      fc.property(host, (text) => {
        const judged = isPrivateAddress(text)
        const url = `http://${text}/`
        if (/^[\w.-]+$/.test(text) && URL.canParse(url)) expect(judged).toBe(isPrivateAddress(new URL(url).hostname))
      }),
    )
  })

  it('judges an IPv4 address inside IPv6 like the address itself [WA-20] [WA-27]', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const forms = [`::ffff:${address}`, `::ffff:0:${address}`, `64:ff9b::${address}`, `[::${address}]`]
        const octets = address.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'))
        const all = [...forms, `2002:${octets.slice(0, 2).join('')}:${octets.slice(2).join('')}::1`]
        expect(all.map(isPrivateAddress)).toEqual(all.map(() => isPrivateAddress(address)))
      }),
    )
  })
})
