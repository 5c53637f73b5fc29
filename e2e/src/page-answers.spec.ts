/// <reference lib="dom" />
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { decodeMask } from '@segue/core';
import type { Locator } from 'playwright-core';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import { usePage, withoutBrowser, type PageDriver } from './page-driver.js';
import { MANY_SEGMENTS, NO_SEGMENT, TALL, WIDE } from './pictures.js';

const run = promisify(execFile);
const PICTURE = { name: 'a photo.png', mimeType: 'image/png', buffer: WIDE };

describe.skipIf(withoutBrowser)('the page: answers', () => {
  const fixture = usePage();
  let driver: PageDriver;

  beforeEach(() => {
    ({ driver } = fixture);
  });

  it('shows words and masks while the answer is still being written', async () => {
    // What the service sends passes through, but for the last event, which waits.
    await driver.page.evaluate(() => {
      const held = window as unknown as { release(): void };
      const released = new Promise<void>((resolve) => (held.release = resolve));
      const send = window.fetch;
      window.fetch = async (address, request) => {
        const response = await send(address, request);
        if (!String(address).endsWith('/events') || !response.body) return response;
        let rest = '';
        const hold = new TransformStream<string, string>({
          async transform(piece, out) {
            const events = (rest + piece).split(/(?<=\n\n)/);
            rest = events.at(-1)?.endsWith('\n\n') ? '' : (events.pop() ?? '');
            for (const event of events) {
              if (event.includes('event: completed')) await released;
              out.enqueue(event);
            }
          },
        });
        const body = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(hold);
        return new Response(body.pipeThrough(new TextEncoderStream()), response);
      };
    });
    await driver.show(WIDE);
    await driver.type(MANY_SEGMENTS);
    await driver.masks.nth(1).waitFor();
    expect(await driver.turn(0).getAttribute('class')).toContain('writing');
    expect((await driver.turn(0).locator('.answer').textContent())?.length).toBeGreaterThan(10);
    expect(await driver.page.locator('#stop').isVisible()).toBe(true);
    expect(await driver.page.locator('#progress').textContent()).toMatch(/…/);
    await driver.page.evaluate(() => (window as unknown as { release(): void }).release());
    await driver.turn(0).and(driver.page.locator('.done')).waitFor();
    expect(await driver.page.locator('#send').isVisible()).toBe(true);
  });

  it.each(['Stop', 'Escape'])('is stopped by %s, and the job with it', async (way) => {
    const worker = fixture.system.app('llm-worker');
    await driver.show(WIDE);
    worker.pause();
    try {
      await driver.type(MANY_SEGMENTS);
      await expect.poll(() => driver.page.url()).toContain('#job=');
      if (way === 'Stop') await driver.page.click('#stop');
      else await driver.page.keyboard.press('Escape');
      await driver.turn(0).and(driver.page.locator('.stopped')).waitFor();
      expect(await driver.turn(0).textContent()).toContain('Stopped.');
      const jobId = new URLSearchParams(new URL(driver.page.url()).hash.slice(1)).get('job') ?? '';
      await expect.poll(async () => (await fixture.system.client.jobs.get(jobId)).state).toBe('cancelled');
    } finally {
      worker.resume();
    }
    const turn = await driver.ask(MANY_SEGMENTS);
    expect(await turn.locator('.answer').textContent()).not.toBe('');
  });

  it('goes on after a reload, and a link shows the conversation to somebody else', async () => {
    await driver.show(WIDE);
    await driver.ask(MANY_SEGMENTS);
    const worker = fixture.system.app('llm-worker');
    worker.pause();
    try {
      await driver.type('And what else?');
      await expect.poll(() => driver.page.url()).toMatch(/#job=\w+&job=/);
      await driver.page.reload();
      await driver.page.locator('.turn').nth(1).waitFor();
    } finally {
      worker.resume();
    }
    await driver.turn(1).and(driver.page.locator('.done')).waitFor();
    const texts = () => driver.page.locator('.turn .question, .turn .answer').allTextContents();
    const before = await texts();
    expect(before[2]).toBe('And what else?');
    const other = await fixture.open({}, driver.page.url());
    await expect.poll(() => other.page.locator('.turn .question, .turn .answer').allTextContents()).toEqual(before);
    expect(await other.page.locator('#photo').evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(
      (await sharp(WIDE).metadata()).width,
    );
    // The conversation goes on from there.
    const [request] = await Promise.all([other.page.waitForRequest('**/v1/jobs'), other.ask(NO_SEGMENT)]);
    expect((request.postDataJSON() as { history: unknown[] }).history).toHaveLength(2);
    const lost = await fixture.open({}, `${fixture.system.httpUrl}/#job=nothing`);
    await expect.poll(() => lost.page.locator('#problem').textContent()).toMatch(/no job/);
  });

  it('shows the masks of the newest answer, and of others as they are switched on', async () => {
    await driver.show(WIDE);
    await driver.ask(MANY_SEGMENTS);
    await driver.masks.nth(1).waitFor();
    const first = await driver.masks.count();
    await driver.ask('And what else?');
    const own = await driver.turn(1).locator('.phrase').count();
    await expect.poll(() => driver.masks.count()).toBe(own);
    await driver.turn(0).locator('.switch input').check();
    await expect.poll(() => driver.masks.count()).toBe(own + first);
    await driver.turn(0).locator('.switch input').uncheck();
    await expect.poll(() => driver.masks.count()).toBe(own);
  });

  it('goes back through earlier questions with the arrow keys', async () => {
    await driver.show(WIDE);
    await driver.ask('First?');
    await driver.ask('Second?');
    await driver.page.fill('#question', 'Half a th');
    const shown = async (key: string) => {
      await driver.page.press('#question', key);
      return driver.page.inputValue('#question');
    };
    expect(await shown('ArrowUp')).toBe('Second?');
    expect(await shown('ArrowUp')).toBe('First?');
    expect(await shown('ArrowUp')).toBe('First?');
    expect(await shown('ArrowDown')).toBe('Second?');
    expect(await shown('ArrowDown')).toBe('Half a th');
    await driver.page.reload();
    expect(await shown('ArrowUp')).toBe('Second?');
  });

  it('tells where the time went', async () => {
    await driver.show(WIDE);
    const turn = await driver.ask(MANY_SEGMENTS);
    const { answer } = (await (await fetch(`${fixture.system.httpUrl}/v1/jobs/${jobsOf(driver).at(-1)}`)).json()) as {
      answer: { timings_ms: Record<string, number> };
    };
    const facts = await turn.locator('.facts').textContent();
    const ms = (stage: string) => Math.round(answer.timings_ms[stage] ?? NaN);
    for (const part of [
      `${ms('total')} ms`,
      `waiting ${ms('queue')}`,
      `looking ${ms('encode')}`,
      `writing ${ms('generate')}`,
      `drawing ${ms('decode')}`,
    ]) {
      expect(facts).toContain(part);
    }
    const widths = await turn
      .locator('.bar span')
      .evaluateAll((parts) => parts.map((part) => part.getBoundingClientRect().width));
    expect(widths[2]! / widths[3]!).toBeCloseTo(ms('generate') / ms('decode'), 0);
  });

  it('gives away overlay, cut-out, mask and COCO file', async () => {
    await driver.show(PICTURE);
    const turn = await driver.ask(MANY_SEGMENTS);
    const { segments } = await fixture.system.client.segment({ image: WIDE, instruction: MANY_SEGMENTS });
    const { width, height } = await sharp(WIDE).metadata();
    const masks = segments.map(({ mask }) => decodeMask(mask));
    const union = masks[0]!.map((_, at) => Math.max(...masks.map((mask) => mask[at]!)));
    const area = union.reduce((sum, bit) => sum + bit, 0);
    await turn.getByText('Download').click();

    const overlay = await pixels(await download(turn, 'Overlay', 'a photo.overlay.png'));
    expect([overlay.info.width, overlay.info.height]).toEqual([width, height]);
    const original = await sharp(WIDE).removeAlpha().raw().toBuffer();
    const changed = union.map((_, at) =>
      Number([0, 1, 2].some((c) => overlay.data[4 * at + c] !== original[3 * at + c])),
    );
    expect(changed.filter((bit, at) => bit === 1 && union[at] === 0)).toHaveLength(0);
    expect(changed.reduce((sum, bit) => sum + bit, 0)).toBeGreaterThan(0.9 * area);

    const cutOut = await pixels(await download(turn, 'Cut-out', 'a photo.cutout.png'));
    expect(union.map((_, at) => Number(cutOut.data[4 * at + 3]! > 0))).toEqual(union);
    const mask = await pixels(await download(turn, 'Mask', 'a photo.mask.png'));
    expect(union.map((_, at) => Number(mask.data[4 * at]! > 0))).toEqual(union);

    const coco = JSON.parse((await download(turn, 'COCO', 'a photo.coco.json')).toString()) as {
      annotations: { segmentation: unknown; bbox: unknown; area: number }[];
      images: unknown[];
    };
    expect(coco.images).toEqual([{ id: 1, file_name: 'a photo.png', width, height }]);
    expect(coco.annotations.map(({ segmentation, bbox, area }) => ({ mask: segmentation, box: bbox, area }))).toEqual(
      segments.map(({ mask, box, area }) => ({ mask, box, area })),
    );

    // With a mask chosen, the files are of that one alone.
    await turn.locator('.phrase').first().click();
    const one = await pixels(await download(turn, 'Mask', 'a photo.mask.png'));
    expect(union.map((_, at) => Number(one.data[4 * at]! > 0))).toEqual(masks[0]);
  });

  it('gives away code that asks the same', async () => {
    const own = await fixture.open({ permissions: ['clipboard-read', 'clipboard-write'] });
    await own.show(PICTURE);
    await own.ask(NO_SEGMENT);
    const turn = await own.ask('What\'s "here"; $HOME?');
    const folder = mkdtempSync(join(tmpdir(), 'segue-page-'));
    try {
      writeFileSync(join(folder, PICTURE.name), WIDE);
      await turn.getByText('Copy as').click();
      const code = async (language: string): Promise<string> => {
        await turn.getByRole('button', { name: language }).click();
        await turn.getByText(`${language} copied.`).waitFor();
        return own.page.evaluate(() => navigator.clipboard.readText());
      };
      const expected = (await (await fetch(`${fixture.system.httpUrl}/v1/jobs/${jobsOf(own).at(-1)}`)).json()) as {
        answer: { text: string };
      };
      const curl = await run('bash', ['-c', await code('curl')], { cwd: folder });
      expect((JSON.parse(curl.stdout) as { text: string }).text).toBe(expected.answer.text);
      const typescript = await run(process.execPath, ['--input-type=module', '--eval', await code('TypeScript')], {
        cwd: folder,
      });
      expect(typescript.stdout).toContain(expected.answer.text);
      // Python's standard library has no requests: what the code hands to it is looked at.
      const stub =
        'class A:\n  def json(self): return {"text": "t", "segments": []}\ndef post(url, files, data):\n  print(url, len(files["image"].read()), data["instruction"], len(__import__("json").loads(data["history"])))\n  return A()\n';
      writeFileSync(join(folder, 'requests.py'), stub);
      writeFileSync(join(folder, 'ask.py'), await code('Python'));
      const python = await run('python3', ['ask.py'], { cwd: folder });
      expect(python.stdout).toContain(`${fixture.system.httpUrl}/v1/segment ${WIDE.length} What's "here"; $HOME? 1`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('asks several pictures the same question', async () => {
    await driver.choose(
      PICTURE,
      { name: 'tall.png', mimeType: 'image/png', buffer: TALL },
      { ...PICTURE, name: 'third.png' },
      {
        name: 'notes.txt',
        mimeType: 'text/plain',
        buffer: Buffer.from('no picture'),
      },
    );
    const pictures = driver.page.locator('.tray button');
    await expect.poll(() => pictures.count()).toBe(3);
    expect(await driver.page.locator('#problem').textContent()).toContain('notes.txt');
    await driver.type(MANY_SEGMENTS);
    await expect.poll(() => pictures.allTextContents(), { timeout: 20_000 }).toEqual(['2', '0', '2']);
    await pictures.nth(1).click();
    expect(await driver.page.locator('.turn').count()).toBe(1);
    expect(await driver.masks.count()).toBe(0);
    const [file] = await Promise.all([
      driver.page.waitForEvent('download'),
      driver.page.getByText('Download all as COCO').click(),
    ]);
    const coco = JSON.parse(readFileSync(await file.path(), 'utf8')) as {
      images: { file_name: string }[];
      annotations: { image_id: number }[];
    };
    expect(coco.images.map(({ file_name }) => file_name)).toEqual(['a photo.png', 'tall.png', 'third.png']);
    expect(coco.annotations.map(({ image_id }) => image_id)).toEqual([1, 1, 3, 3]);
    await driver.page.locator('#ask-all').uncheck();
    await driver.ask('And here?');
    await pictures.nth(0).click();
    expect(await driver.page.locator('.turn').count()).toBe(1);
  });

  it('says what is wrong, and asks again', async () => {
    await driver.show(WIDE);
    await driver.page.context().setOffline(true);
    await driver.type(MANY_SEGMENTS);
    await driver.turn(0).and(driver.page.locator('.failed')).waitFor();
    expect(await driver.turn(0).getByRole('alert').textContent()).toContain('cannot be reached');
    await driver.page.context().setOffline(false);
    await driver.turn(0).getByText('Ask again').click();
    await driver.turn(1).and(driver.page.locator('.done')).waitFor();
  });

  it('says what the model knows', async () => {
    await driver.page.getByText('What it knows').click();
    await expect.poll(() => driver.page.locator('.about').textContent()).toContain('tiny-random');
  });
});

function jobsOf({ page }: PageDriver): string[] {
  return new URLSearchParams(new URL(page.url()).hash.slice(1)).getAll('job');
}

async function download(turn: Locator, name: string, fileName: string): Promise<Buffer> {
  const [file] = await Promise.all([
    turn.page().waitForEvent('download'),
    turn.getByRole('button', { name, exact: true }).click(),
  ]);
  expect(file.suggestedFilename()).toBe(fileName);
  return readFileSync(await file.path());
}

function pixels(png: Buffer) {
  return sharp(png).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
}
