/// <reference lib="dom" />
import { PALETTE, type Answer } from '@segue/core';
import { Redis } from 'ioredis';
import { beforeEach, describe, expect, it } from 'vitest';
import { usePage, withoutBrowser, type PageDriver } from './page-driver.js';
import { MANY_SEGMENTS, NO_SEGMENT, TALL, WIDE } from './pictures.js';

describe.skipIf(withoutBrowser)('the page: asking', () => {
  const fixture = usePage();
  let driver: PageDriver;

  beforeEach(() => {
    ({ driver } = fixture);
  });

  it('shows the words, and each mask in the colour of its phrase, with its score', async () => {
    await driver.show(WIDE);
    const turn = await driver.ask(MANY_SEGMENTS);
    const expected = await fixture.system.client.segment({ image: WIDE, instruction: MANY_SEGMENTS });
    const words = await turn.locator('.answer').evaluate((element) => {
      const copy = element.cloneNode(true) as Element;
      for (const score of copy.querySelectorAll('.score')) score.remove();
      return copy.textContent;
    });
    expect(words).toBe(shown(expected));
    await expect.poll(() => paintedMasks(driver)).toEqual(expected.segments.map(({ area }) => area));
    for (const { phrase, index, score } of expected.segments) {
      const button = turn.locator(`.phrase[data-index="${index}"]`);
      expect(await button.textContent()).toBe(phrase || '●');
      expect(await turn.locator('.score').nth(index).textContent()).toContain(`${Math.round(100 * score)} %`);
      const colour = await button.evaluate((element) => element.style.getPropertyValue('--mask'));
      expect(colour).toBe(PALETTE[index % PALETTE.length]);
      expect(await maskColour(driver, index)).toBe(colour);
    }
    expect(driver.complaints).toEqual([]);
  });

  it('asks further questions without sending the picture again', async () => {
    await driver.show(WIDE);
    await driver.ask(MANY_SEGMENTS);
    const [request] = await Promise.all([driver.page.waitForRequest('**/v1/jobs'), driver.ask(NO_SEGMENT)]);
    expect(request.postDataJSON()).toMatchObject({
      image_id: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      instruction: NO_SEGMENT,
      history: [{ instruction: MANY_SEGMENTS }],
    });
    expect(await driver.turn(1).locator('.facts').textContent()).toMatch(/looking \d+ \(cache\)/);
  });

  it('sends the picture and the conversation again by itself when the picture is not kept any more', async () => {
    await driver.show(WIDE);
    await driver.ask(MANY_SEGMENTS);
    const redis = new Redis(fixture.system.redisUrl);
    const pictures = await redis.keys('*:picture:*');
    await redis.del(...pictures);
    redis.disconnect();
    // The devtools protocol does not show forms with files, so the page itself keeps what it sends.
    await driver.page.evaluate(() => {
      const send = window.fetch;
      window.fetch = (address, request) => {
        if (request?.body instanceof FormData) document.body.dataset['sent'] = String(request.body.get('history'));
        return send(address, request);
      };
    });
    await driver.ask(NO_SEGMENT);
    expect(await driver.page.locator('[role=alert]:visible').count()).toBe(0);
    const history = await driver.page.evaluate(() => document.body.dataset['sent'] ?? '');
    expect(JSON.parse(history)).toMatchObject([{ instruction: MANY_SEGMENTS, answer: expect.any(String) as string }]);
  });

  it('refuses a file that is no picture when it is chosen, and keeps the old picture and its answers', async () => {
    await driver.show(WIDE);
    await driver.ask(MANY_SEGMENTS);
    const before = await driver.page.locator('#photo').getAttribute('src');
    for (const [name, buffer] of [
      ['notes.pdf', Buffer.from('%PDF-1.7')],
      ['broken.png', WIDE.subarray(0, 20)],
      ['animation.gif', Buffer.from('GIF89a')],
    ] as const) {
      await driver.choose({ name, mimeType: 'image/png', buffer });
      const alert = driver.page.locator('#problem');
      await expect.poll(() => alert.textContent()).toMatch(new RegExp(`${name}.*JPEG, PNG or WebP`));
      expect(await driver.page.locator('#photo').getAttribute('src')).toBe(before);
      expect(await driver.page.locator('.turn').count()).toBe(1);
    }
    await driver.show(TALL);
    await expect.poll(() => driver.page.locator('#problem').isHidden()).toBe(true);
    await expect.poll(() => driver.page.locator('.turn').count()).toBe(0);
  });

  it('lights the mask of the phrase that is pointed at, and the phrase of the mask', async () => {
    await driver.show(WIDE);
    await driver.ask(MANY_SEGMENTS);
    await driver.masks.nth(1).waitFor();
    await driver.phrases.first().hover();
    expect(await driver.page.locator('#picture canvas.lit').getAttribute('data-index')).toBe('0');
    await driver.page.locator('h1').hover();
    expect(await driver.page.locator('#picture canvas.lit').count()).toBe(0);
    const { x, y } = await driver.pointIn(driver.masks.first());
    await driver.page.mouse.move(x, y);
    const phrase = driver.page.locator('.phrase.lit');
    await phrase.waitFor();
    const lit = await driver.page.locator('#picture canvas.lit').getAttribute('data-index');
    expect(await phrase.getAttribute('data-index')).toBe(lit);
  });
});

/** Pixels that each mask on the picture paints, in their order. */
function paintedMasks({ masks }: PageDriver): Promise<number[]> {
  return masks.evaluateAll((canvases) =>
    (canvases as HTMLCanvasElement[])
      .sort((a, b) => Number(a.dataset['index']) - Number(b.dataset['index']))
      .map((canvas) => {
        const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
        return Array.from(data).filter((value, position) => position % 4 === 3 && value > 0).length;
      }),
  );
}

/** Colour of a mask's opaque outline, #rrggbb. */
function maskColour({ page }: PageDriver, index: number): Promise<string | undefined> {
  return page.locator(`#picture canvas[data-index="${index}"]`).evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    const opaque = data.findIndex((value, position) => position % 4 === 3 && value === 255);
    const digits = Array.from(data.slice(opaque - 3, opaque), (value) => value.toString(16).padStart(2, '0'));
    return `#${digits.join('')}`;
  });
}

/** An answer as the page shows it: a mask is seen on the picture, and in the text where it has no phrase. */
function shown({ text, segments }: Answer): string {
  let order = 0;
  return text.replaceAll(/( ?)<SEG>/g, (_, blank: string) => (segments[order++]?.phrase ? '' : `${blank}●`));
}
