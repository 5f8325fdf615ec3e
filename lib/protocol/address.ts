interface Ipv4Range {
  readonly network: number
  readonly size: number
}

/**
 * IPv4 networks that a public server has no business to send a client to (IANA special-purpose registry, RFC 6890).
 * Networks for documentation are not routed and therefore harmless.
 */
const internalIpv4: readonly Ipv4Range[] = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT, and the metadata address of one cloud
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // the host agent of Azure machines
  '169.254.0.0/16', // link-local, and the metadata address of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarking
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
].map(parseRange)

/** Whether a host, as `URL.hostname` writes it, is `localhost`, `127.0.0.1` or `[::1]` (RFC 8252 §7.3 and §8.3). */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'
}

/**
 * Whether a host is an address of this machine, its network or its cloud, judged by its text alone (RFC 9728 §7.7):
 * host names as `URL.hostname` writes them, and addresses as a look-up answers them, IPv6 without brackets.
 * A text that is no host counts as private.
 */
export function isPrivateAddress(hostname: string): boolean {
  const host = normalise(hostname)
  if (host === undefined) return true
  if (host.startsWith('[')) return isInternalIpv6(groupsOf(host.slice(1, -1)))
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return isInternalIpv4(ipv4Number(host))
  return isInternalName(host.endsWith('.') ? host.slice(0, -1) : host)
}

/** The one spelling that the URL parser gives a host: `0x7f.1` becomes `127.0.0.1`, `::ffff:1.2.3.4` hexadecimal. */
function normalise(hostname: string): string | undefined {
  if (/[/\\?#@]/.test(hostname)) return undefined
  const bare = hostname.startsWith('[') || !hostname.includes(':')
  const authority = bare ? hostname : `[${hostname.split('%')[0] ?? ''}]` // a look-up may add the zone: fe80::1%eth0
  const url = `http://${authority}/`
  return URL.canParse(url) ? new URL(url).hostname : undefined
}

function isInternalName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || name === 'metadata.google.internal'
}

function isInternalIpv4(address: number): boolean {
  return internalIpv4.some(({ network, size }) => address >= network && address < network + size)
}

/** Global unicast is 2000::/3 (RFC 4291 §2.4); outside it only forms that carry an IPv4 address can be public. */
function isInternalIpv6(groups: readonly number[]): boolean {
  const embedded = embeddedIpv4(groups)
  if (embedded !== undefined) return isInternalIpv4(embedded)
  const [first = 0, second = 0] = groups
  if (first === 0x2001 && second < 0x200) return true // protocol assignments, Teredo among them
  return first < 0x2000 || first > 0x3fff
}

/** The IPv4 address inside an IPv4-mapped, -compatible, -translated, NAT64 or 6to4 address. */
function embeddedIpv4(groups: readonly number[]): number | undefined {
  const [first = 0, second = 0, third = 0] = groups
  if (first === 0x2002) return second * 0x10000 + third
  const prefix = groups
    .slice(0, 6)
    .map((group) => group.toString(16))
    .join(':')
  const carriers = ['0:0:0:0:0:ffff', '0:0:0:0:0:0', '0:0:0:0:ffff:0', '64:ff9b:0:0:0:0']
  return carriers.includes(prefix) ? (groups[6] ?? 0) * 0x10000 + (groups[7] ?? 0) : undefined
}

/** The eight groups of an IPv6 address in the URL parser's spelling, which is hexadecimal with at most one `::`. */
function groupsOf(address: string): readonly number[] {
  const [head = '', tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16))
}

function ipv4Number(address: string): number {
  return address.split('.').reduce((number, octet) => number * 256 + Number(octet), 0)
}

function parseRange(text: string): Ipv4Range {
  const [address = '', bits = '32'] = text.split('/')
  return { network: ipv4Number(address), size: 2 ** (32 - Number(bits)) }
}
