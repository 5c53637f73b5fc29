/// <reference lib="dom" />
import { existsSync } from 'node:fs';
import type { Answer } from '@segue/core';
import { PALETTE } from '@segue/imaging';
import { Redis } from 'ioredis';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MANY_SEGMENTS, NO_SEGMENT, WIDE } from './pictures.js';
import { System } from './system.js';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
if (!executablePath) console.log('The page is not tested: there is no Chromium. Install the package chromium.');

describe.skipIf(!executablePath)('the page in Chromium', () => {
  let system: System;
  let browser: Browser;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    system = await System.start();
    return () => system.stop();
  });
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: executablePath ?? '',
      args: ['--no-sandbox', '--disable-background-networking'],
    });
    return () => browser.close();
  });
  beforeEach(async () => {
    page = await browser.newPage();
    complaints = [];
    // A violated content security policy is told on the console, too.
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(system.httpUrl);
  });
  afterEach(() => page.close());

  const choose = (buffer: Buffer) =>
    page.setInputFiles('#file', { name: 'picture.png', mimeType: 'image/png', buffer });
  const ask = async (question: string) => {
    await page.fill('#question', question);
    await page.press('#question', 'Enter');
  };
  const answers = (count: number) =>
    page.waitForFunction((n) => document.querySelectorAll('.turn .facts:not(:empty)').length === n, count);

  it('shows the words, and each mask in the colour of its phrase', async () => {
    await choose(WIDE);
    await ask(MANY_SEGMENTS);
    await answers(1);
    const expected = await system.client.segment({ image: WIDE, instruction: MANY_SEGMENTS });
    expect(await page.textContent('.turn .answer')).toBe(shown(expected));
    expect(await paintedMasks()).toEqual(expected.segments.map(({ area }) => area));
    for (const { phrase, index } of expected.segments) {
      const button = page.locator(`.phrase[data-index="${index}"]`);
      expect(await button.textContent()).toBe(phrase || '●');
      const colour = await button.evaluate((element) => element.style.getPropertyValue('--mask'));
      expect(colour).toBe(PALETTE[index % PALETTE.length]);
      expect(await maskColour(index)).toBe(colour);
    }
    expect(complaints).toEqual([]);
  });

  it('lights up the mask whose phrase is pointed at', async () => {
    await choose(WIDE);
    await ask(MANY_SEGMENTS);
    await answers(1);
    await page.locator('.phrase').first().hover();
    expect(await page.locator('#picture canvas.lit').count()).toBe(1);
    await page.locator('h1').hover();
    expect(await page.locator('#picture canvas.lit').count()).toBe(0);
  });

  it('asks further questions without sending the picture again', async () => {
    await choose(WIDE);
    await ask(MANY_SEGMENTS);
    await answers(1);
    const first = await page.textContent('.turn .question');
    const [request] = await Promise.all([page.waitForRequest('**/v1/segment'), ask(NO_SEGMENT)]);
    await answers(2);
    expect(request.postDataJSON()).toMatchObject({
      image_id: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      instruction: NO_SEGMENT,
      history: [{ instruction: first }],
    });
    expect(await page.locator('.turn').nth(1).locator('.facts').textContent()).toContain('picture from the cache');
  });

  it('sends the picture and the conversation again by itself when the picture is not kept any more', async () => {
    await choose(WIDE);
    await ask(MANY_SEGMENTS);
    await answers(1);
    const redis = new Redis(system.redis.url);
    const pictures = await redis.keys('*:picture:*');
    await redis.del(...pictures);
    redis.disconnect();
    // The devtools protocol does not show forms with files, so the page itself keeps what it sends.
    await page.evaluate(() => {
      const send = window.fetch;
      window.fetch = (address, request) => {
        if (request?.body instanceof FormData) document.body.dataset['sent'] = String(request.body.get('history'));
        return send(address, request);
      };
    });
    await ask(NO_SEGMENT);
    await answers(2);
    expect(await page.getByRole('alert').isHidden()).toBe(true);
    const history = await page.evaluate(() => document.body.dataset['sent'] ?? '');
    expect(JSON.parse(history)).toMatchObject([{ instruction: MANY_SEGMENTS, answer: expect.any(String) as string }]);
  });

  it("passes on the service's sentence about a file that is no picture", async () => {
    await choose(Buffer.from('no picture'));
    await ask('What is here?');
    await page.waitForFunction(() => document.querySelector('#progress')?.textContent === '');
    expect(await page.getByRole('alert').textContent()).toMatch(/JPEG, PNG/);
    expect(await page.locator('.turn').count()).toBe(0);
  });

  it('offers example pictures', async () => {
    await page.click('[data-photo="/examples/coffee.jpg"]');
    await page.waitForFunction(() => document.querySelector<HTMLImageElement>('#photo')?.naturalWidth === 600);
    expect(await page.inputValue('#question')).not.toBe('');
    expect(complaints).toEqual([]);
  });

  /** Pixels that each mask on the picture paints, in their order. */
  function paintedMasks(): Promise<number[]> {
    return page.locator('#picture canvas').evaluateAll((canvases) =>
      (canvases as HTMLCanvasElement[])
        .sort((a, b) => Number(a.dataset['index']) - Number(b.dataset['index']))
        .map((canvas) => {
          const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
          return Array.from(data).filter((value, position) => position % 4 === 3 && value > 0).length;
        }),
    );
  }

  /** Colour of a mask's opaque outline, #rrggbb. */
  function maskColour(index: number): Promise<string | undefined> {
    return page.locator(`#picture canvas[data-index="${index}"]`).evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      const opaque = data.findIndex((value, position) => position % 4 === 3 && value === 255);
      const digits = Array.from(data.slice(opaque - 3, opaque), (value) => value.toString(16).padStart(2, '0'));
      return `#${digits.join('')}`;
    });
  }
});

/** An answer as the page shows it: a mask is seen on the picture, and in the text where it has no phrase. */
function shown({ text, segments }: Answer): string {
  let order = 0;
  return text.replaceAll(/( ?)<SEG>/g, (_, blank: string) => (segments[order++]?.phrase ? '' : `${blank}●`));
}
