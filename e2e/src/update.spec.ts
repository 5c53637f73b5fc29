import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SegueClient } from '@segue/client';
import type { Answer } from '@segue/core';
import { LocalSystem } from '@segue/local-system';
import { TINY_BUNDLE_DIR, TINY_LISA_DIR } from '@segue/testing';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { content } from './content.js';
import { WIDE } from './pictures.js';

// Another bundle takes the place of the one that is served, app by app, while jobs run.

const NAME = basename(TINY_BUNDLE_DIR);
const QUESTIONS = ['What is here?', 'Where is the cup?', 'The red ball, please.'];

let otherDir: string;
beforeAll(async () => {
  otherDir = join(await mkdtemp(join(tmpdir(), 'segue-update-')), NAME);
  await copyUnderName(TINY_LISA_DIR, otherDir);
});
afterAll(() => rm(dirname(otherDir), { recursive: true }));

let system: LocalSystem;
afterEach(() => system.stop());

it.each([
  ['encoder-worker', 'llm-worker', 'decoder-worker'],
  ['decoder-worker', 'llm-worker', 'encoder-worker'],
] as const)(
  'loses no job when the %s, the %s and the %s are replaced in turn',
  { timeout: 240_000 },
  async (...workers) => {
    let dir = TINY_BUNDLE_DIR;
    system = await LocalSystem.start({ bundleDir: dir, envOf: () => ({ SEGUE_MODELS_DIR: dirname(dir) }) });
    const client = new SegueClient({ baseUrl: system.app('gateway').url });
    const calm = new Map([await calmAnswers(client)]);
    const request = { image: WIDE, instruction: QUESTIONS[0]!, idempotencyKey: 'asked-before' };
    const before = await client.jobs.submit(request);

    const answers: Answer[] = [];
    const failed: unknown[] = [];
    let enough = false;
    const asking = Array.from({ length: 8 }, async (_, place) => {
      for (let turn = place; !enough; turn++) {
        const question = { image: WIDE, instruction: QUESTIONS[turn % QUESTIONS.length]!, timeoutMs: 60_000 };
        await (place % 2 ? client.segment(question) : answerOfJob(client, question)).then(
          (answer) => answers.push(answer),
          (error: unknown) => failed.push(error),
        );
      }
    });
    dir = otherDir;
    // Each is alone with its new bundle for longer than any number of attempts takes.
    for (const name of workers) {
      await system.add(name);
      await sleep(1_000);
      await system.remove(name);
      await sleep(1_000);
    }
    const gateway = await system.add('gateway');
    enough = true;
    await Promise.all(asking);

    const updated = new SegueClient({ baseUrl: gateway.url });
    calm.set(...(await calmAnswers(updated)));
    expect(failed).toEqual([]);
    expect(new Set(answers.map(({ model }) => model))).toEqual(new Set([`${NAME}@0.1.0`, `${NAME}@9.0.0`]));
    for (const answer of answers) expect(calm.get(answer.model)).toContainEqual(content(answer));
    expect(await updated.jobs.submit(request)).toMatchObject({ jobId: before.jobId });
  },
);

/** The model that answers, and what it says when nothing else is going on. */
async function calmAnswers(client: SegueClient): Promise<[model: string, ReturnType<typeof content>[]]> {
  const answers: Answer[] = [];
  for (const instruction of QUESTIONS) answers.push(await client.segment({ image: WIDE, instruction }));
  expect(answers.flatMap(({ segments }) => segments)).not.toEqual([]);
  return [answers[0]!.model, answers.map(content)];
}

async function answerOfJob(client: SegueClient, request: Parameters<SegueClient['segment']>[0]): Promise<Answer> {
  const { jobId } = await client.jobs.submit(request);
  for await (const event of client.jobs.watch(jobId)) {
    if (event.type === 'completed') return event.answer;
    if (event.type === 'failed') throw new Error(`${event.error.code}: ${event.error.message}`);
  }
  throw new Error('the job did not complete');
}

/** Another bundle as a new version of the one that is served, which writes shorter answers. */
async function copyUnderName(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const file of await readdir(from)) if (file !== 'manifest.json') await symlink(join(from, file), join(to, file));
  const manifest = JSON.parse(await readFile(join(from, 'manifest.json'), 'utf8')) as {
    language: { limits: object };
  };
  const { language } = manifest;
  const limits = { ...language.limits, maxNewTokens: 40 };
  const changed = { ...manifest, name: NAME, version: '9.0.0', language: { ...language, limits } };
  await writeFile(join(to, 'manifest.json'), JSON.stringify(changed));
}
