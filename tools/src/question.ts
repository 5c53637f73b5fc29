import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { stdout } from 'node:process';
import { SegueClient, SegueError, type Answer } from '@segue/client';
import { renderOverlay } from '@segue/imaging';
import { Advice, paint } from './terminal.js';

/**
 * Asks a running service about a photo, shows the answer and writes the overlay beside the photo.
 * @param url the service's HTTP address.
 * @param live shows the words as they arrive; not where other programs write lines in between.
 */
export async function askAbout(url: string, photo: string, instruction: string, live: boolean): Promise<void> {
  const picture = await readPhoto(photo);
  console.log(`${paint('bold', basename(photo))} · ${instruction}`);
  const answer = await listen(new SegueClient({ baseUrl: url }), picture, instruction, live);
  const overlay = await writeOverlay(photo, picture, answer);
  describe(answer);
  console.log(`Overlay: ${overlay}`);
}

async function readPhoto(photo: string): Promise<Buffer> {
  try {
    return await readFile(photo);
  } catch (error) {
    throw new Advice(
      `The photo ${photo} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
    );
  }
}

async function listen(client: SegueClient, picture: Buffer, instruction: string, live: boolean): Promise<Answer> {
  const write = (text: string) => live && stdout.write(text);
  const startedAt = performance.now();
  const after = () => paint('dim', `${Math.round(performance.now() - startedAt)} ms`);
  for await (const event of client.stream({ image: picture, instruction })) {
    if (event.type === 'text') write(event.text);
    else if (event.type === 'segment') write(paint('dim', `[mask ${event.segment.index + 1} after ${after()}]`));
    else if (event.type === 'completed') {
      stdout.write(live ? '\n' : `${event.answer.text}\n`);
      return event.answer;
    } else if (event.type === 'failed') throw new SegueError(event.error.code, event.error.message);
  }
  throw new Advice('The service ended the answer early. Is it stopping? Try again.');
}

async function writeOverlay(photo: string, picture: Buffer, answer: Answer): Promise<string> {
  const overlay = join(dirname(photo), `${basename(photo).replace(/\.\w+$/, '')}.overlay.png`);
  await writeFile(overlay, await renderOverlay(picture, answer.segments, { text: answer.text }));
  return relative(process.cwd(), overlay);
}

function describe({ segments, timingsMs, cache, model }: Answer): void {
  for (const { index, phrase, area, score, mask } of segments) {
    const share = (100 * area) / (mask.size[0] * mask.size[1]);
    console.log(`  ${index + 1} ${phrase}: ${share.toFixed(1)} % of the photo, score ${score.toFixed(2)}`);
  }
  const stages = (['queue', 'encode', 'generate', 'decode'] as const).map(
    (stage) => `${stage} ${Math.round(timingsMs[stage])}`,
  );
  const cached = cache.image ? ', picture from the cache' : '';
  console.log(`  ${model}: ${Math.round(timingsMs.total)} ms (${stages.join(', ')})${cached}`);
}
