import { SegueClient, SegueError, type Answer, type JobEvent } from '@segue/client';
import { toLine, writeAnswer, writeCoco } from './answer-files.js';
import { toCoco, type Answered } from './coco.js';
import { report } from './failure.js';
import type { Format } from './formats.js';
import { findPhotos, type Photo } from './photos.js';

export interface AskOptions {
  readonly url: string;
  readonly json?: boolean;
  readonly out?: string;
  readonly format: Format;
  readonly model?: string;
  readonly timeout?: number;
}

/** `segue ask`: one question about each photo, one after the other. @returns the exit status: that of the last failure. */
export async function ask(words: readonly string[], options: AskOptions): Promise<number> {
  const question = words.at(-1);
  if (question === undefined || words.length < 2) {
    throw new SegueError('INVALID_ARGUMENT', 'Name a photo and a question: segue ask PHOTO "QUESTION".');
  }
  const photos = await findPhotos(words.slice(0, -1));
  const client = new SegueClient({ baseUrl: options.url });
  const answered: Answered[] = [];
  let status = 0;
  for (const [index, photo] of photos.entries()) {
    if (photos.length > 1) process.stderr.write(`[${index + 1}/${photos.length}] ${photo.path}\n`);
    try {
      answered.push(await askAbout(client, photo, question, options));
    } catch (error) {
      status = report(error, photo.path);
      // The next photo would fare no better.
      if (error instanceof SegueError && error.code === 'UNAVAILABLE') break;
    }
  }
  if (options.format === 'coco') {
    if (options.out !== undefined) await writeCoco(options.out, answered);
    else process.stdout.write(`${JSON.stringify(toCoco(answered))}\n`);
  }
  return status;
}

async function askAbout(
  client: SegueClient,
  photo: Photo,
  question: string,
  { json = false, out, format, model, timeout }: AskOptions,
): Promise<Answered> {
  const image = await photo.read();
  const { imageId, width, height } = await client.images.upload(image);
  // A machine reads JSON or COCO; a person reads the words as they come.
  const quiet = json || (format === 'coco' && out === undefined);
  const answer = await listen(
    client.stream({
      imageId,
      instruction: question,
      ...(model !== undefined && { model }),
      ...(timeout !== undefined && { timeoutMs: timeout }),
    }),
    quiet,
  );
  const result = { photo: photo.path, width, height, question, answer };
  if (json && format !== 'coco') process.stdout.write(await toLine(photo.path, question, answer, format));
  if (out !== undefined) await writeAnswer(out, photo.stem, image, result, format);
  if (!quiet) describe(answer);
  return result;
}

/** Shows a job's words as they come. @throws SegueError unless it is completed. */
export async function listen(events: AsyncIterable<JobEvent>, quiet: boolean): Promise<Answer> {
  for await (const event of events) {
    if (event.type === 'text' && !quiet) process.stdout.write(event.text);
    if (event.type === 'restarted' && !quiet) process.stdout.write('\n');
    if (event.type === 'completed') {
      if (!quiet) process.stdout.write('\n');
      return event.answer;
    }
    if (event.type === 'failed') throw new SegueError(event.error.code, event.error.message);
    if (event.type === 'cancelled') throw new SegueError('CANCELLED', 'The job was cancelled.');
  }
  throw new SegueError('UNAVAILABLE', 'The service ended the answer early. Ask again.');
}

/** What is not part of the answer goes to standard error. */
function describe({ segments, timingsMs, model }: Answer): void {
  for (const { index, phrase, area, score, mask } of segments) {
    const share = (100 * area) / (mask.size[0] * mask.size[1]);
    process.stderr.write(`  ${index + 1} ${phrase}: ${share.toFixed(1)} % of the photo, score ${score.toFixed(2)}\n`);
  }
  process.stderr.write(`  ${model}: ${Math.round(timingsMs.total)} ms\n`);
}
