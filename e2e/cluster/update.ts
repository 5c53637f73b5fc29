import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { maskIou, type RunLengthMask } from '@segue/core';
import { expect } from 'vitest';
import { content } from '../src/content.js';
import { APPS, ask, kubectl } from './cluster.js';
import { ROOT, tell } from './commands.js';
import { whileAsked } from './jobs.js';

// What the update of the model is measured by: images.sh has put tiny-lisa in the place of segue-smol.

const PHOTOS = { coffee: 'Where is the drink?', cat: 'Where is the cat?', astronaut: 'Where is the person?' };
const QUESTIONS = await Promise.all(
  Object.entries(PHOTOS).map(async ([photo, instruction]) => {
    return { image: await readFile(join(ROOT, `examples/${photo}.jpg`)), instruction };
  }),
);

/** A model, and what it says to each question while nothing else goes on. */
interface Calm {
  readonly model: string;
  readonly answers: ReadonlyMap<string, ReturnType<typeof content>>;
}

export async function askCalmly(): Promise<Calm> {
  const answers = new Map<string, ReturnType<typeof content>>();
  const models = new Set<string>();
  for (const question of QUESTIONS) {
    const answer = await ask((client) => client.segment({ ...question, timeoutMs: 300_000 }));
    answers.set(question.instruction, content(answer));
    models.add(answer.model);
  }
  const [model = ''] = models;
  expect([...models]).toEqual([model]);
  return { model, answers };
}

/** Has the image of the model changed while twelve ask, half of them by jobs. @returns the model that answers then. */
export async function changeUnderQuestions(before: Calm, image: string, change: () => Promise<unknown>): Promise<Calm> {
  const { ended, failed, answers, quietMs } = await whileAsked(QUESTIONS, 6, async (open) => {
    tell(`${image}, with ${open.size} jobs and as many requests under way`);
    await change();
    tell('rolled out');
    await expect.poll(imagesOfPods, { timeout: 180_000, interval: 500 }).toEqual([image]);
    tell('no pod of before is left');
  });
  const after = await askCalmly();
  const count = ({ model }: Calm) => `${answers.filter((answer) => answer.model === model).length} by ${model}`;
  tell(`${ended} ended: ${count(before)}, ${count(after)}, ${failed.length} failed`);
  tell(`at most ${(quietMs / 1000).toFixed(1)} s without an answer`);
  expect(failed).toEqual([]);
  for (const answer of answers) {
    const { answers: calm } = answer.model === before.model ? before : after;
    expect([answer.model, content(answer)]).toEqual([answer.model, calm.get(answer.question)]);
  }
  expect(new Set(answers.map(({ model }) => model))).toEqual(new Set([before.model, after.model]));
  return after;
}

/** Of the model, in all pods, those that still end included. */
async function imagesOfPods(): Promise<string[]> {
  const selector = `app.kubernetes.io/name in (${APPS.join(', ')})`;
  const path = 'jsonpath={.items[*].spec.initContainers[0].image}';
  return [...new Set((await kubectl('get', 'pods', '--selector', selector, '--output', path)).split(' '))];
}

/** A question about a picture that is stored while one model is served, asked again while another one is: what that one must say. */
export async function storedPicture() {
  const folder = join(ROOT, 'models/tiny-lisa');
  const cases = JSON.parse(await readFile(join(folder, 'golden/cases.json'), 'utf8')) as {
    readonly image: string;
    readonly question: string;
    readonly text: string;
    readonly segments: readonly { readonly mask: RunLengthMask }[];
  }[];
  const golden = cases.find(({ segments }) => segments.length === 2);
  if (!golden) throw new Error('no golden case has two segments');
  const image = await readFile(join(folder, golden.image));
  const { imageId } = await ask((client) => client.segment({ image, instruction: golden.question }));
  return async () => {
    const { text, segments, cache } = await ask((client) => client.segment({ imageId, instruction: golden.question }));
    expect([text, cache.image]).toEqual([golden.text, false]);
    const likeness = golden.segments.map(({ mask }, index) => maskIou(mask, segments[index]?.mask ?? mask));
    expect([segments.length, Math.min(...likeness) > 0.99]).toEqual([golden.segments.length, true]);
  };
}
