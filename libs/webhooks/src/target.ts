import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { SegueError } from '@segue/core';

export interface TargetRules {
  /** Names of hosts, `*.example.org` for those below one, `*` for any; none is allowed when empty. */
  readonly hosts: readonly string[];
  /** Whether addresses of private networks may be called, and http: without TLS. */
  readonly allowPrivate: boolean;
}

/** Networks that are not the public Internet: IANA's special-purpose address registries. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  PRIVATE.addSubnet(network, prefix, 'ipv4');
}
/** Of IPv6 only 2000::/3 is public, and of that not the prefixes that lead to IPv4 or to documentation. */
const PUBLIC_V6 = new BlockList();
PUBLIC_V6.addSubnet('2000::', 3, 'ipv6');
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  PRIVATE.addSubnet(network, prefix, 'ipv6');
}

/** Whether an address belongs to a private or otherwise special network. */
export function isPrivateAddress(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return isPrivateAddress(mapped);
  if (isIP(address) === 4) return PRIVATE.check(address, 'ipv4');
  return !PUBLIC_V6.check(address, 'ipv6') || PRIVATE.check(address, 'ipv6');
}

/** Checks an address before a job is accepted. @throws SegueError INVALID_ARGUMENT or PERMISSION_DENIED */
export function checkTarget(address: string, { hosts, allowPrivate }: TargetRules): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const protocols = allowPrivate ? ['https:', 'http:'] : ['https:'];
  if (!url || !protocols.includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw new SegueError('INVALID_ARGUMENT', 'The webhook must be an https: URL without a name and password.');
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!hosts.some((pattern) => matches(pattern, host))) {
    throw new SegueError(
      'PERMISSION_DENIED',
      'This service may not call this host. Its operator can allow it with SEGUE_WEBHOOK_HOSTS.',
    );
  }
  if (isIP(host) !== 0 && !allowPrivate && isPrivateAddress(host)) throw privateAddress();
  return url;
}

/** Finds a host's address for a connection, which is then made to this address: no second look finds another one. */
export function guardedLookup({ allowPrivate }: Pick<TargetRules, 'allowPrivate'>): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const allowed = (addresses ?? []).filter(({ address }) => allowPrivate || !isPrivateAddress(address));
      const [first] = allowed;
      if (error || !first) callback(error ?? privateAddress(), '', 4);
      else if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function matches(pattern: string, host: string): boolean {
  if (pattern === '*') return true;
  if (pattern.startsWith('*.')) return host.endsWith(pattern.slice(1));
  return host === pattern;
}

function privateAddress(): SegueError {
  return new SegueError(
    'PERMISSION_DENIED',
    'The webhook leads to a private network. Its operator can allow that with SEGUE_WEBHOOK_PRIVATE_ADDRESSES=on.',
  );
}
