/// <reference lib="dom" />
import { createServer, request as forward } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import { usePage, withoutBrowser, type PageDriver } from './page-driver.js';
import { MANY_SEGMENTS, NO_SEGMENT, TALL, WIDE } from './pictures.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

describe.skipIf(withoutBrowser)('the page: in use', () => {
  const fixture = usePage();
  let driver: PageDriver;

  beforeEach(() => {
    ({ driver } = fixture);
  });

  it.each(['drop', 'paste'])('takes a picture by %s', async (way) => {
    await driver.page.evaluate(
      ([type, base64]) => {
        const bytes = Uint8Array.from(atob(base64 ?? ''), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], 'given.png', { type: 'image/png' }));
        const event =
          type === 'drop'
            ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent('paste', { clipboardData: data, bubbles: true });
        document.querySelector('main')?.dispatchEvent(event);
      },
      [way, WIDE.toString('base64')],
    );
    await driver.page.locator('#photo').waitFor();
    await driver.ask(MANY_SEGMENTS);
    expect(await driver.turn(0).locator('.answer').textContent()).not.toBe('');
  });

  it('takes a photo on a device with a camera', async () => {
    const phone = await fixture.open(PHONE);
    expect(await phone.page.locator('.camera').isVisible()).toBe(true);
    expect(await phone.page.locator('#camera').getAttribute('capture')).toBe('environment');
    await phone.page.setInputFiles('#camera', { name: 'photo.png', mimeType: 'image/png', buffer: WIDE });
    await phone.page.locator('#photo').waitFor();
    expect(await driver.page.locator('.camera').isVisible()).toBe(false);
  });

  it('zooms at the pointer, moves, finds masks there, and shows the whole again', async () => {
    await driver.show(WIDE);
    await driver.ask(MANY_SEGMENTS);
    const mask = driver.masks.first();
    await mask.waitFor();
    const before = await driver.pointIn(mask);
    const figure = driver.page.locator('#picture');
    const whole = await figure.boundingBox();
    await driver.page.mouse.move(before.x, before.y);
    await driver.page.mouse.wheel(0, -400);
    await expect.poll(async () => (await figure.boundingBox())?.width).toBeGreaterThan(1.5 * (whole?.width ?? 0));
    const after = await driver.pointIn(mask);
    expect(Math.hypot(after.x - before.x, after.y - before.y)).toBeLessThan(3);
    await driver.page.mouse.down();
    await driver.page.mouse.move(before.x + 20, before.y + 10, { steps: 4 });
    await driver.page.mouse.up();
    const dragged = await driver.pointIn(mask);
    expect([Math.round(dragged.x - after.x), Math.round(dragged.y - after.y)]).toEqual([20, 10]);
    expect(await driver.page.locator('.phrase[aria-pressed=true]').count()).toBe(0);
    await driver.page.mouse.click(dragged.x, dragged.y);
    expect(await driver.page.locator('.phrase[aria-pressed=true]').count()).toBe(1);
    await driver.page.getByRole('button', { name: 'show the whole picture' }).click();
    expect(await figure.boundingBox()).toEqual(whole);
  });

  it('makes masks fainter', async () => {
    await driver.show(WIDE);
    await driver.ask(MANY_SEGMENTS);
    await driver.masks.first().waitFor();
    await driver.page.locator('#opacity').fill('30');
    const opacity = () => driver.masks.first().evaluate((canvas) => Number(getComputedStyle(canvas).opacity));
    await expect.poll(opacity).toBeCloseTo(0.3);
  });

  it('draws masks of a 6000 x 4000 photo in a thread of its own', async () => {
    const large = await sharp(WIDE).resize(6000, 4000, { fit: 'fill' }).jpeg({ quality: 60 }).toBuffer();
    await driver.show({ name: 'large.jpg', mimeType: 'image/jpeg', buffer: large });
    await driver.ask(MANY_SEGMENTS);
    await driver.masks.first().waitFor();
    expect(driver.page.workers().map((worker) => worker.url())).toEqual([expect.stringMatching(/mask\.worker/)]);
    const [width, height] = await driver.masks
      .first()
      .evaluate((canvas: HTMLCanvasElement) => [canvas.width, canvas.height]);
    expect([width, height]).toEqual([2048, 1365]);
    expect(driver.complaints).toEqual([]);
  }, 120_000);

  it('keeps the whole picture and the newest answer in sight on a phone, after ten questions', async () => {
    const phone = await fixture.open(PHONE);
    await phone.show(TALL);
    for (let count = 1; count <= 10; count++) await phone.ask(count % 2 === 0 ? NO_SEGMENT : MANY_SEGMENTS);
    const inSight = (selector: string) =>
      phone.page
        .locator(selector)
        .last()
        .evaluate((element) => {
          const { left, top, right, bottom, height } = element.getBoundingClientRect();
          const middle = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
          const covered =
            !middle || !(element.contains(middle) || middle.contains(element) || middle.closest('#picture'));
          return height > 0 && left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight && !covered;
        });
    for (const part of ['#photo', '.turn .answer', '#question', '#send']) expect(await inSight(part), part).toBe(true);
    expect(await phone.page.evaluate(() => document.documentElement.scrollHeight <= innerHeight)).toBe(true);
  }, 120_000);

  it('shows all of what the model knows on a phone', async () => {
    const { page } = await fixture.open(PHONE);
    await page.getByText('What it knows').click();
    const { left, right, bottom } = await page
      .locator('.about > div')
      .evaluate((element) => element.getBoundingClientRect().toJSON() as DOMRect);
    const { width, height } = page.viewportSize()!;
    expect(left).toBeGreaterThanOrEqual(0);
    expect(right).toBeLessThanOrEqual(width);
    expect(bottom).toBeLessThanOrEqual(height);
  });

  it.each(['light', 'dark'] as const)(
    'has no violations of axe in any state (%s)',
    async (colorScheme) => {
      const own = await fixture.open({ colorScheme });
      const violations = async (state: string): Promise<void> => {
        await own.page.evaluate(() =>
          Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => undefined))),
        );
        await own.page.evaluate(AXE);
        const found = await own.page.evaluate(async () => {
          const { axe } = window as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          };
          return (await axe.run()).violations.map(
            ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`,
          );
        });
        expect(found, state).toEqual([]);
      };
      const background = await own.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const [red = 0] = (/\d+/.exec(background) ?? []).map(Number);
      expect(red < 128).toBe(colorScheme === 'dark');
      await violations('empty');
      await own.show(WIDE);
      await own.ask(MANY_SEGMENTS);
      await own.masks.first().waitFor();
      await own.phrases.first().click();
      for (const summary of await own.page.locator('summary').all()) await summary.click();
      await violations('answered, a mask chosen, all opened');
      await own.choose({ name: 'x.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF') });
      await own.page.locator('#problem').waitFor();
      await violations('a complaint');
    },
    120_000,
  );

  it('can be used by the keyboard alone', async () => {
    const { page } = driver;
    await driver.show(WIDE);
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe('question');
    await page.keyboard.type(MANY_SEGMENTS);
    await page.keyboard.press('Enter');
    await driver.turn(0).and(page.locator('.done')).waitFor();
    await driver.masks.first().waitFor();
    const tabTo = async (selector: string): Promise<void> => {
      for (let step = 0; step < 60; step++) {
        if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
        await page.keyboard.press('Tab');
      }
      throw new Error(`the keyboard does not reach ${selector}`);
    };
    await tabTo('.phrase');
    await page.keyboard.press('Enter');
    expect(await driver.phrases.first().getAttribute('aria-pressed')).toBe('true');
    await tabTo('.turn .switch input');
    await page.keyboard.press('Space');
    await expect.poll(() => driver.masks.count()).toBe(0);
    await tabTo('.scene');
    await page.keyboard.press('+');
    expect(await page.getByRole('button', { name: 'show the whole picture' }).textContent()).toBe('150 %');
    for (const selector of ['#file', '#opacity', '.menu summary', 'a[href=docs]']) await tabTo(selector);
  });

  it('tells screen readers each answer, and has a name for each control', async () => {
    await driver.show(WIDE);
    for (const question of [MANY_SEGMENTS, 'And what else?']) {
      const turn = await driver.ask(question);
      const live = driver.page.locator('[aria-live=polite]');
      await expect.poll(() => live.textContent()).toContain(`Answer to “${question}”`);
      const start = (await turn.locator('.answer').textContent())?.slice(0, 5) ?? '';
      expect(await live.textContent()).toContain(start);
    }
    const tree = await driver.page.locator('body').ariaSnapshot();
    for (const part of [
      'list "Questions and answers"',
      'textbox "Your question"',
      'button "Ask"',
      'slider "Opacity of the masks"',
      'checkbox "Masks" [checked]',
      'img "Time: waiting',
    ]) {
      expect(tree).toContain(part);
    }
  });

  it('works behind a path prefix, under its strict policy, and asks nobody else', async () => {
    const target = new URL(fixture.system.httpUrl);
    const proxy = createServer((incoming, outgoing) => {
      const path = incoming.url ?? '';
      if (!path.startsWith('/tools/segue/')) return void outgoing.writeHead(404).end();
      const { method, headers } = incoming;
      const options = {
        host: target.hostname,
        port: target.port,
        path: path.slice('/tools/segue'.length),
        method,
        headers,
      };
      const upstream = forward(options, (response) => {
        outgoing.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(outgoing);
      });
      upstream.on('error', () => outgoing.destroy());
      incoming.pipe(upstream);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    try {
      const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/tools/segue/`;
      const own = await fixture.open({}, url);
      const elsewhere: string[] = [];
      own.page.on('request', (request) => {
        if (!request.url().startsWith(url) && !request.url().startsWith('blob:')) elsewhere.push(request.url());
      });
      const policy = (await own.page.reload())?.headers()['content-security-policy'] ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/unsafe|\*/);
      await own.show(WIDE);
      await own.ask(MANY_SEGMENTS);
      await own.masks.first().waitFor();
      expect(own.page.url().startsWith(`${url}#job=`)).toBe(true);
      await own.page.reload();
      await own.masks.first().waitFor();
      expect(elsewhere).toEqual([]);
      expect(own.complaints).toEqual([]);
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});
