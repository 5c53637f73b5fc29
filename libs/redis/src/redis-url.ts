import { SegueError } from '@segue/core';

/** A Redis Cluster, by some of its nodes. */
export interface ClusterAddress {
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const CLUSTER = /^rediss?\+cluster:\/\/((?:[^@/]*@)?)([^@/]+)\/?$/;
const ESCAPED = /^(?:[^%]|%[0-9a-f]{2})*$/i;
const NODE_PORT = 6379;

/** What a URL of Redis begins with. */
export const REDIS_URL_FORMS = 'redis://, rediss://, redis+cluster:// or rediss+cluster://';

/** Whether it is `redis://host:port`, or `redis+cluster://host:port,host:port`; with `rediss` in the place of `redis` for TLS. */
export function isRedisUrl(url: string): boolean {
  if (isOfCluster(url)) return parseCluster(url) !== undefined;
  return URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol);
}

/** @returns nothing for the URL of one Redis. @throws SegueError INVALID_ARGUMENT for that of a cluster which is not well formed. */
export function clusterOf(url: string): ClusterAddress | undefined {
  if (!isOfCluster(url)) return undefined;
  const address = parseCluster(url);
  if (address) return address;
  throw new SegueError(
    'INVALID_ARGUMENT',
    'The URL of a Redis Cluster is redis+cluster://user:password@host:port,host:port, without the number of a database.',
  );
}

function isOfCluster(url: string): boolean {
  return /^rediss?\+cluster:/.test(url);
}

/** Each node is read as the URL of one Redis, with the login of all. */
function parseCluster(url: string): ClusterAddress | undefined {
  const [, login = '', hosts = ''] = CLUSTER.exec(url) ?? [];
  const urls = hosts.split(',').map((host) => `redis://${login}${host.trim()}`);
  if (!urls.every((each) => URL.canParse(each) && new URL(each).hostname !== '') || !ESCAPED.test(login))
    return undefined;
  const nodes = urls.map((each) => new URL(each));
  const text = (escaped = '') => decodeURIComponent(escaped) || undefined;
  return {
    nodes: nodes.map(({ hostname, port }) => ({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || NODE_PORT),
    })),
    username: text(nodes[0]?.username),
    password: text(nodes[0]?.password),
  };
}
