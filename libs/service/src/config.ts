import { isIPv6 } from 'node:net';
import { SegueError } from '@segue/core';
import { isRedisUrl, REDIS_URL_FORMS } from '@segue/redis';
import { z } from 'zod';

type Shape = Record<string, z.ZodType>;
type Config<S extends Shape> = Readonly<{ [K in keyof S]: z.infer<S[K]> }>;

/** Reads an app's settings from an environment (by default the process's own). */
export type ConfigReader<C> = (env?: Readonly<Record<string, string | undefined>>) => C;

/**
 * Declares an app's settings: the setting `redisUrl` is read from the variable `SEGUE_REDIS_URL`; an empty variable
 * counts as unset.
 * @throws SegueError INVALID_ARGUMENT from the reader, naming every bad variable at once; values are not repeated, they may be secret.
 */
export function defineConfig<S extends Shape>(
  shape: S,
): (env?: Readonly<Record<string, string | undefined>>) => Config<S> {
  return (env = process.env) => {
    const raw = Object.fromEntries(Object.keys(shape).map((key) => [key, env[variableName(key)] || undefined]));
    const result = z.object(shape).safeParse(raw);
    if (result.success) return Object.freeze(result.data) as Config<S>;
    const problems = result.error.issues.map((issue) => `  ${variableName(String(issue.path[0]))}: ${issue.message}`);
    throw new SegueError('INVALID_ARGUMENT', `These environment variables must be corrected:\n${problems.join('\n')}`);
  };
}

/** `redisUrl` -> `SEGUE_REDIS_URL` */
export function variableName(setting: string): string {
  return `SEGUE_${setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** A text. */
export const text = (fallback: string) => z.string().default(fallback);

/** A text of some form. */
export const textLike = (form: RegExp, problem: string, fallback: string) =>
  z.string().regex(form, problem).default(fallback);

/** A whole number. */
export const integer = (fallback: number, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`))
    .default(fallback);

/** A number greater than 0, with or without decimals. */
export const positive = (fallback: number) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?$/, 'must be a number')
    .transform(Number)
    .pipe(z.number().positive('must be greater than 0'))
    .default(fallback);

/** A host name or an address to listen on or to be reached at; an IPv6 address goes without its brackets. */
export const host = (fallback: string) =>
  z
    .string()
    .refine((value) => /^[\w.-]+$/.test(value) || isIPv6(value), {
      error: 'must be a host name or an address, without brackets and port',
    })
    .default(fallback);

/** A TCP port; 0 takes a free one. */
export const port = (fallback: number) => integer(fallback, { max: 65_535 });

/** `true` or `false`. */
export const flag = (fallback: boolean) =>
  z
    .enum(['true', 'false'], { error: 'must be true or false' })
    .transform((word) => word === 'true')
    .default(fallback);

/** One of a few words. */
export const oneOf = <const V extends readonly [string, ...string[]]>(values: V, fallback: V[number]) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` }).default(fallback as never);

/** Some of a few words, separated by commas. */
export const someOf = <const V extends readonly [string, ...string[]]>(words: V, fallback: readonly V[number][]) =>
  z
    .string()
    .transform((value) => value.split(',').map((word) => word.trim()))
    .pipe(z.array(z.enum(words, { error: `must be some of ${words.join(', ')}, separated by commas` })))
    .default([...fallback] as never);

/** Texts, separated by commas; none by default. */
export const list = () =>
  z
    .string()
    .transform((value) => value.split(',').flatMap((item) => item.trim() || []))
    .default([]);

/** A URL of one of the protocols, e.g. `redis:`. */
export const url = (protocols: readonly string[], fallback: string) =>
  z
    .string()
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
      error: `must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    })
    .default(fallback);

/** A Redis, or a Redis Cluster. */
const redisAddress = (fallback: string) =>
  z
    .string()
    .refine(isRedisUrl, { error: `must be a URL that begins with ${REDIS_URL_FORMS}` })
    .default(fallback);

/** Settings of every app; `httpPort` differs from app to app. */
export const serviceSettings = (defaults: { readonly httpPort: number }) => ({
  /** Address that the servers of this process listen on. */
  host: host('0.0.0.0'),
  /** Health, metrics and, at the gateway, the public HTTP interface. */
  httpPort: port(defaults.httpPort),
  /** Lines of the log from this level on. */
  logLevel: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),
  /** `pretty` is for people, at a terminal. */
  logFormat: oneOf(['json', 'pretty'], 'json'),
  /** Where traces are sent by OTLP over HTTP, e.g. `http://collector:4318/v1/traces`; nothing is traced unless it is set. */
  tracesUrl: url(['http:', 'https:'], ''),
  /** Share of the traces that are kept, up to 1; whoever begins one before us decides about it. */
  traceShare: positive(1),
  /** How long a stopping process may take to finish or hand back what it holds, in milliseconds. */
  drainTimeoutMs: integer(25_000, { min: 1 }),
});

/** Settings of every app that works on jobs. */
export const jobSettings = {
  /**
   * Where Redis is; `rediss:` for TLS. With `SEGUE_REDIS_SENTINELS`, the name of the master in the place of a host: `redis://user:password@mymaster`.
   * Of a Redis Cluster, some of its nodes: `redis+cluster://user:password@host:port,host:port`, or `rediss+cluster:`.
   */
  redisUrl: redisAddress('redis://127.0.0.1:6379'),
  /** Redis Sentinels, `host:port` separated by commas: they are asked where the master is. */
  redisSentinels: list(),
  /** Of the Sentinels themselves, where they ask for one. */
  redisSentinelPassword: text(''),
  /** PEM files for `rediss:`: the CA of Redis' certificate where it is no public one, and our own certificate where Redis asks for it. */
  redisCaFile: text(''),
  redisCertFile: text(''),
  redisKeyFile: text(''),
  /** Folder of model bundles. */
  modelsDir: text('./models'),
  /** Name of the bundle that this process serves. */
  model: text('segue-smol'),
  /** How long an ended job and its answer are kept, in milliseconds. */
  jobKeepMs: integer(3_600_000, { min: 1000 }),
  /** How long a picture is kept after its last use, in milliseconds. */
  pictureKeepMs: integer(3_600_000, { min: 1000 }),
};

/** How the connection to Redis is opened. */
export const redisOf = (config: {
  readonly redisUrl: string;
  readonly redisSentinels: readonly string[];
  readonly redisSentinelPassword: string;
  readonly redisCaFile: string;
  readonly redisCertFile: string;
  readonly redisKeyFile: string;
}) => ({
  url: config.redisUrl,
  sentinels: config.redisSentinels,
  sentinelPassword: config.redisSentinelPassword || undefined,
  tls: {
    caFile: config.redisCaFile || undefined,
    certFile: config.redisCertFile || undefined,
    keyFile: config.redisKeyFile || undefined,
  },
});

/** Limits on pictures and where they are kept, the same at the gateway that accepts them and the encoder that decodes them. */
export const pictureSettings = {
  /** Bytes of a picture's file at most. */
  maxPictureBytes: integer(25 * 1024 * 1024, { min: 1 }),
  /** Pixels of a picture at most. */
  maxPicturePixels: integer(8192 * 6144, { min: 1 }),
  /** Formats that are decoded. Of an animation the first frame counts. */
  pictureFormats: someOf(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'], ['jpeg', 'png', 'webp']),
  /**
   * Where the bytes of pictures are kept: in Redis, in a folder that all gateways and encoder-workers share (`file:///pictures`), or in
   * S3 (`s3://bucket/prefix?endpoint=https://...&region=...`; credentials as Amazon's SDKs find them, such as `AWS_ACCESS_KEY_ID`). See
   * docs/guides/picture-store.md.
   */
  pictureStore: url(['redis:', 'file:', 's3:'], 'redis://'),
};

/** The same limits as the picture functions take them. */
export const pictureLimits = (config: PictureConfig) => ({
  maxBytes: config.maxPictureBytes,
  maxPixels: config.maxPicturePixels,
  formats: config.pictureFormats,
});

type PictureConfig = Config<typeof pictureSettings>;
