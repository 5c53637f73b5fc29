import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import { SegueError, type RunLengthMask } from '@segue/core';
import { SingleFlight } from '@segue/inference';
import { LRUCache } from 'lru-cache';
import { Piscina } from 'piscina';
import type * as Worker from './render-worker.js';
import type { OverlayTask } from './render-worker.js';

export interface RendererOptions {
  /** Renderings that are made at the same time. */
  readonly threads: number;
  /** Renderings that may wait for a thread; more are refused. */
  readonly maxWaiting: number;
  /** Bytes of renderings that are kept, those that were not asked for longest going first. */
  readonly maxKeptBytes: number;
}

export interface OverlayOptions extends Omit<OverlayTask, 'picture'> {
  /** Names the picture, so that its bytes are read only when the overlay is not kept. */
  readonly imageId: string;
  readonly picture: () => Promise<Uint8Array>;
}

const IDLE_MS = 60_000;
const RETRY_AFTER_MS = 1_000;

/** Starts threads in which masks and overlays are made. */
export function startRenderer(options: RendererOptions): Renderer {
  return new Renderer(
    new Piscina<unknown, unknown>({
      // Beside this file, and like it TypeScript or what was built of it.
      filename: new URL(`./render-worker${extname(import.meta.url)}`, import.meta.url).href,
      minThreads: 1,
      maxThreads: options.threads,
      maxQueue: options.maxWaiting,
      idleTimeout: IDLE_MS,
    }),
    options.maxKeptBytes,
  );
}

/**
 * Makes masks in other formats, and overlays, off the event loop: each once, however many ask, and kept for those who ask
 * again. Every method throws SegueError RESOURCE_EXHAUSTED when too many renderings wait already.
 */
export class Renderer {
  readonly #threads: Piscina<unknown, unknown>;
  readonly #inFlight = new SingleFlight<string, Rendering>();
  readonly #kept: LRUCache<string, Rendering>;

  constructor(threads: Piscina<unknown, unknown>, maxKeptBytes: number) {
    this.#threads = threads;
    this.#kept = new LRUCache({ maxSize: maxKeptBytes, sizeCalculation: bytesOf });
  }

  /** A PNG with one bit a pixel. */
  png(mask: RunLengthMask): Promise<Uint8Array> {
    return this.#once('png', keyOf('png', mask), () => mask);
  }

  /** Rings `[x0, y0, x1, y1, ...]`; see `maskToOutline`. */
  polygon(mask: RunLengthMask, tolerance: number): Promise<readonly (readonly number[])[]> {
    return this.#once('polygon', keyOf('polygon', mask, tolerance), () => ({ mask, tolerance }));
  }

  /** A PNG; see `renderOverlay`. */
  overlay({ imageId, picture, ...rest }: OverlayOptions): Promise<Uint8Array> {
    return this.#once('overlay', keyOf('overlay', imageId, rest), async () => ({ ...rest, picture: await picture() }));
  }

  /** Lets no rendering begin and waits for those in hand. */
  close(): Promise<void> {
    return this.#threads.close();
  }

  async #once<K extends keyof typeof Worker>(name: K, key: string, task: () => unknown): Promise<Made<K>> {
    const kept = this.#kept.get(key);
    if (kept) return kept as Made<K>;
    const made = await this.#inFlight.run(key, async () => {
      const rendering = (await this.#run(name, await task())) as Made<K>;
      this.#kept.set(key, rendering);
      return rendering;
    });
    return made as Made<K>;
  }

  async #run(name: keyof typeof Worker, task: unknown): Promise<unknown> {
    // The queue counts what waits for a thread, this call's included.
    if (this.#threads.queueSize >= this.#threads.options.maxQueue) {
      throw new SegueError(
        'RESOURCE_EXHAUSTED',
        'Too many masks are being drawn at the moment. Try again in a second.',
        {
          retryAfterMs: RETRY_AFTER_MS,
        },
      );
    }
    return this.#threads.run(task, { name });
  }
}

type Rendering = Uint8Array | readonly (readonly number[])[];
type Made<K extends keyof typeof Worker> = Awaited<ReturnType<(typeof Worker)[K]>>;

function keyOf(...parts: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

/** A number in an array takes eight bytes. At least one, for the mask that is empty. */
function bytesOf(rendering: Rendering): number {
  if (rendering instanceof Uint8Array) return rendering.byteLength;
  return 1 + 8 * rendering.reduce((sum, ring) => sum + ring.length, 0);
}
