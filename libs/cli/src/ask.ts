import { SegueError } from '@segue/client';
import { toLine, writeAnswer, writeCoco } from './answer-files.js';
import { toCoco, type Answered } from './coco.js';
import type { ServiceOptions } from './connect.js';
import { report } from './failure.js';
import type { Format } from './formats.js';
import { findPhotos, type Photo } from './photos.js';
import { showPreview } from './preview.js';
import { describe, showWords } from './show.js';
import { overHttp, type Source } from './source.js';

export interface AnswerOptions {
  readonly json?: boolean;
  readonly out?: string;
  readonly format: Format;
  readonly preview?: boolean;
}

export interface AskOptions extends AnswerOptions, ServiceOptions {
  readonly model?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

export interface LocalOptions extends AnswerOptions {
  /** Folder of bundles. */
  readonly models: string;
  readonly model: string;
}

/** `segue ask`: one question about each photo, one after the other. @returns the exit status: that of the last failure. */
export function ask(words: readonly string[], options: AskOptions): Promise<number> {
  return askAll(words, options, () => Promise.resolve(overHttp(options)));
}

/** `segue local`: the same without a service. The model is loaded first, which takes seconds. */
export function local(words: readonly string[], options: LocalOptions): Promise<number> {
  return askAll(words, options, async () => (await import('./local.js')).inThisProcess(options));
}

async function askAll(words: readonly string[], options: AnswerOptions, open: () => Promise<Source>): Promise<number> {
  const question = words.at(-1);
  if (question === undefined || words.length < 2) {
    throw new SegueError('INVALID_ARGUMENT', 'Name a photo and a question: segue ask PHOTO "QUESTION".');
  }
  const photos = await findPhotos(words.slice(0, -1));
  const source = await open();
  const answered: Answered[] = [];
  let status = 0;
  try {
    for (const [index, photo] of photos.entries()) {
      if (photos.length > 1) process.stderr.write(`[${index + 1}/${photos.length}] ${photo.path}\n`);
      try {
        answered.push(await askAbout(source, photo, question, options));
      } catch (error) {
        status = report(error, photo.path);
        // The next photo would fare no better.
        if (error instanceof SegueError && error.code === 'UNAVAILABLE') break;
      }
    }
  } finally {
    await source.close();
  }
  if (options.format === 'coco') {
    if (options.out !== undefined) await writeCoco(options.out, answered);
    else process.stdout.write(`${JSON.stringify(toCoco(answered))}\n`);
  }
  return status;
}

async function askAbout(
  source: Source,
  photo: Photo,
  question: string,
  { json = false, out, format, preview = true }: AnswerOptions,
): Promise<Answered> {
  const image = await photo.read();
  // A machine reads JSON or COCO; a person reads the words as they come.
  const quiet = json || (format === 'coco' && out === undefined);
  const { answer, width, height } = await source.ask(image, question, quiet ? () => undefined : showWords);
  const result = { photo: photo.path, width, height, question, answer };
  if (json && format !== 'coco') process.stdout.write(await toLine(photo.path, question, answer, format));
  if (out !== undefined) await writeAnswer(out, photo.stem, image, result, format);
  if (!quiet) {
    describe(answer);
    if (preview) await showPreview(image, answer);
  }
  return result;
}
