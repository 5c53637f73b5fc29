import { createHash } from 'node:crypto';
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SegueError, type StoredImage } from '@segue/client';
import { connect, type ServiceOptions } from './connect.js';
import { toCoco, type Answered } from './coco.js';
import { report } from './failure.js';

export interface BatchOptions extends ServiceOptions {
  readonly out: string;
  readonly concurrency: number;
}

interface Question {
  readonly photo: string;
  readonly question: string;
}

/**
 * `segue batch`: the questions of a file, one `{"photo": ..., "question": ...}` a line, into one COCO file. What has been
 * answered is kept beside it in `OUT.answers.jsonl`: a batch that was stopped goes on where it was, and asks nothing twice.
 */
export async function batch(file: string, options: BatchOptions): Promise<number> {
  const { out, concurrency } = options;
  const questions = await readQuestions(file);
  const journal = `${out}.answers.jsonl`;
  const done = await readJournal(journal);
  const open = questions.filter((asked) => !done.has(keyOf(asked)));
  const client = connect(options);
  const uploads = new Map<string, Promise<StoredImage>>();
  let status = 0;
  let count = questions.length - open.length;

  const work = async (): Promise<void> => {
    for (let asked = open.shift(); asked; asked = open.shift()) {
      try {
        const path = resolve(dirname(file), asked.photo);
        const upload = uploads.get(path) ?? readFile(path).then((image) => client.images.upload(image));
        uploads.set(path, upload);
        const { imageId, width, height } = await upload;
        const answer = await client.segment({ imageId, instruction: asked.question, priority: 'low' });
        const answered = { ...asked, width, height, answer };
        done.set(keyOf(asked), answered);
        await appendFile(journal, `\n${JSON.stringify(answered)}`);
        process.stderr.write(`${++count}/${questions.length} ${asked.photo}: ${answer.text}\n`);
      } catch (error) {
        status = report(error, asked.photo);
        if (error instanceof SegueError && error.code === 'UNAVAILABLE') open.length = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));

  const answered = questions.flatMap((asked) => done.get(keyOf(asked)) ?? []);
  await writeFile(`${out}.part`, JSON.stringify(toCoco(answered)));
  await rename(`${out}.part`, out);
  return status;
}

async function readQuestions(file: string): Promise<Question[]> {
  const text = await readFile(file, 'utf8').catch(() => {
    throw new SegueError('NOT_FOUND', `The file ${file} cannot be read.`);
  });
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const { photo, question } = parse(line) as Partial<Question>;
    if (typeof photo === 'string' && typeof question === 'string') return [{ photo, question }];
    throw new SegueError(
      'INVALID_ARGUMENT',
      `Line ${index + 1} of ${file} is not {"photo": "...", "question": "..."}.`,
    );
  });
}

/** What a run before this one has answered; its last line may have been cut off. */
async function readJournal(journal: string): Promise<Map<string, Answered>> {
  const text = await readFile(journal, 'utf8').catch(() => '');
  const lines = text.split('\n').map((line) => parse(line) as Partial<Answered>);
  const whole = lines.filter((line): line is Answered => line.answer !== undefined);
  return new Map(whole.map((answered) => [keyOf(answered), answered]));
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line) ?? {};
  } catch {
    return {};
  }
}

function keyOf({ photo, question }: Question): string {
  return createHash('sha256')
    .update(JSON.stringify([photo, question]))
    .digest('hex');
}
