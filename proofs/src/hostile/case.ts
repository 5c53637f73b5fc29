import type { LocalSystem } from '@segue/local-system';

/** What is attacked. */
export interface Target {
  readonly system: LocalSystem;
  /** A good picture, its id, and a job that has been answered about it. */
  readonly image: Buffer;
  readonly imageId: string;
  readonly jobId: string;
  /** host:port of an encoder-worker's tensors. */
  readonly tensorAddress: string;
}

/** One thing that nobody should send. */
export interface Case {
  readonly name: string;
  /** @returns what is wrong with what came back, if anything. */
  run(target: Target): Promise<string | undefined>;
}

/** How long a refusal may take on a busy machine. */
export const LIMIT_MS = 20_000;

/** A number in [0, 1). */
export type Random = () => number;

export function below(limit: number, random: Random): number {
  return Math.floor(random() * limit);
}

/** A copy with some bytes changed, or cut somewhere. */
export function damaged(bytes: Uint8Array, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  if (random() < 0.4) return copy.subarray(0, below(copy.length, random));
  for (let times = 1 + below(8, random); times > 0; times--) copy[below(copy.length, random)] = below(256, random);
  return copy;
}

const INSIDE =
  /node_modules|\bat .+:\d+:\d+\)?|\/(?:src|dist|tmp|usr|home|root)\/|ECONN|ioredis|zod|BullMQ|undefined|\[object/i;

/** What is wrong with a message to the caller: it must be a sentence, short, and tell nothing of the inside. */
export function faultOf(message: string, sent = ''): string | undefined {
  if (message.length < 12) return `no helpful sentence: “${message}”`;
  if (message.length > 1_000) return `${message.length} characters of message`;
  const inside = INSIDE.exec(message)?.[0];
  return inside !== undefined && !sent.includes(inside)
    ? `it tells of the inside: “${message.slice(0, 200)}”`
    : undefined;
}
