import { fileURLToPath } from 'node:url';
import { SegueError, type Answer } from '@segue/client';
import { closedLoop, cropOf, openLoop, percentiles, type Measured } from '@segue/load';
import { connect, type ServiceOptions } from './connect.js';
import { firstWrongMask } from './masks.js';
import { findPhotos } from './photos.js';

export interface BenchOptions extends Omit<ServiceOptions, 'url'> {
  readonly clients: readonly number[];
  /** Arrivals a second of an open loop. */
  readonly rate?: number;
  readonly questions: number;
  readonly photos: readonly string[];
  readonly question: string;
  readonly repeated?: boolean;
  readonly json?: boolean;
}

/** The photos that come with the project. */
const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));
const WARM_UP = 2;
/** The same arrivals in every run. */
const SEED = 0.5;

interface Row {
  readonly load: string;
  readonly answersPerSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly firstError?: string;
}

/**
 * `segue bench`: how fast a service answers. Each question is about a picture that it has not seen, a crop of one of the
 * photos, unless `repeated`; an answer counts only if its masks are whole. @returns 1 if any answer was missing or wrong.
 */
export async function bench(url: string, options: BenchOptions): Promise<number> {
  const client = connect({ url, ...options }, { retries: 0 });
  const photos = await Promise.all(
    (await findPhotos(options.photos.length > 0 ? options.photos : [EXAMPLES])).map((photo) => photo.read()),
  );
  const ask = async (image: Uint8Array): Promise<Answer> => {
    const answer = await client.segment({ image, instruction: options.question });
    const wrong = firstWrongMask(answer);
    if (wrong !== undefined) throw new SegueError('INTERNAL', wrong);
    return answer;
  };
  let made = 0;
  const pictures = (count: number): Promise<Uint8Array[]> =>
    Promise.all(
      Array.from({ length: count }, async (_, index) =>
        options.repeated ? (photos[index % photos.length] ?? new Uint8Array()) : crop(photos, made++),
      ),
    );

  for (const picture of await pictures(WARM_UP)) await ask(picture);
  const show = options.json ? (row: Row) => void process.stdout.write(`${JSON.stringify(row)}\n`) : showRow;
  const rows: Row[] = [];
  const note = (load: string, measured: Measured<Answer>): void => {
    const row = summarise(load, measured);
    rows.push(row);
    show(row, rows.length === 1);
  };
  for (const clients of options.clients) {
    const asked = await pictures(options.questions);
    note(`${clients} client${clients === 1 ? '' : 's'}`, await closedLoop(ask, asked, clients));
  }
  if (options.rate !== undefined) {
    const asked = await pictures(options.questions);
    note(`${options.rate}/s arriving`, await openLoop(ask, asked, options.rate, SEED));
  }
  return rows.some(({ errors }) => errors > 0) ? 1 : 0;
}

function summarise(load: string, { outcomes, elapsedMs }: Measured<Answer>): Row {
  const answered = outcomes.filter(({ reply }) => reply !== undefined);
  const { p50, p95, p99 } = percentiles(answered);
  const firstError = outcomes.find(({ error }) => error !== undefined)?.error;
  return {
    load,
    answersPerSecond: Number((answered.length / (elapsedMs / 1000)).toFixed(2)),
    p50Ms: Math.round(p50),
    p95Ms: Math.round(p95),
    p99Ms: Math.round(p99),
    errors: outcomes.length - answered.length,
    ...(firstError !== undefined && { firstError }),
  };
}

function showRow({ load, answersPerSecond, p50Ms, p95Ms, p99Ms, errors, firstError }: Row, first: boolean): void {
  const line = (...cells: readonly (string | number)[]): void => {
    const [name = '', ...numbers] = cells.map(String);
    process.stdout.write(`${name.padEnd(16)}${numbers.map((cell) => cell.padStart(11)).join('')}\n`);
  };
  if (first) line('', 'answers/s', 'p50 ms', 'p95 ms', 'p99 ms', 'errors');
  line(load, answersPerSecond, p50Ms, p95Ms, p99Ms, errors);
  if (firstError !== undefined) process.stderr.write(`  first error: ${firstError}\n`);
}

/** A crop that differs from every other one with another seed. */
async function crop(photos: readonly Uint8Array[], seed: number): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  const photo = sharp(photos[seed % photos.length]).rotate();
  const { data, info } = await photo.raw().toBuffer({ resolveWithObject: true });
  const { longest, ...part } = cropOf(info, seed);
  return sharp(data, { raw: info })
    .extract(part)
    .resize({ width: longest, height: longest, fit: 'inside' })
    .jpeg({ quality: 90 })
    .toBuffer();
}
