/// <reference lib="dom" />
import { chromium, type Browser, type BrowserContextOptions, type Locator, type Page } from 'playwright-core';
import { afterEach, beforeAll, beforeEach } from 'vitest';
import { chromiumPath } from './chromium.js';
import { System, type SystemOptions } from './system.js';

if (!chromiumPath) console.log('The page is not tested: there is no Chromium. Install the package chromium.');

export const withoutBrowser = !chromiumPath;

export interface ChosenFile {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

/** The page in a real Chromium, in front of a real service. */
export class PageDriver {
  /** What the browser's console complained about: a violated content security policy, too. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    readonly url: string,
  ) {
    page.on('console', (message) => message.type() === 'error' && this.complaints.push(message.text()));
    page.on('pageerror', (error) => this.complaints.push(error.message));
  }

  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<PageDriver> {
    const context = await browser.newContext({ acceptDownloads: true, ...options });
    const driver = new PageDriver(await context.newPage(), url);
    await driver.page.goto(url);
    return driver;
  }

  close(): Promise<void> {
    return this.page.context().close();
  }

  async choose(...pictures: readonly (Buffer | ChosenFile)[]): Promise<void> {
    const files = pictures.map((picture, index) =>
      Buffer.isBuffer(picture) ? { name: `picture-${index}.png`, mimeType: 'image/png', buffer: picture } : picture,
    );
    await this.page.setInputFiles('#file', files);
  }

  /** Chooses a picture and waits until it is shown. */
  async show(picture: Buffer | ChosenFile): Promise<void> {
    await this.choose(picture);
    await this.page.locator('#photo').waitFor();
  }

  async type(question: string): Promise<void> {
    await this.page.fill('#question', question);
    await this.page.press('#question', 'Enter');
  }

  /** Asks and waits for the end of the answer. */
  async ask(question: string): Promise<Locator> {
    const before = await this.page.locator('.turn').count();
    await this.type(question);
    const turn = this.turn(before);
    await turn.and(this.page.locator(':not(.writing)')).waitFor();
    const state = await turn.getAttribute('class');
    if (state !== 'turn done') throw new Error(`${state}: ${await turn.textContent()}`);
    return turn;
  }

  turn(index: number): Locator {
    return this.page.locator('.turn').nth(index);
  }

  get masks(): Locator {
    return this.page.locator('#picture canvas');
  }

  get phrases(): Locator {
    return this.page.locator('.phrase');
  }

  /** Point on the screen in the middle of the mask's first run of painted pixels that is long enough to hit. */
  async pointIn(mask: Locator): Promise<{ readonly x: number; readonly y: number }> {
    return mask.evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      const { width, height } = canvas;
      const data = canvas.getContext('2d')?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
      let best = { start: 0, length: 0 };
      for (let at = 0, start = 0; at < width * height; at++) {
        if (at % width === 0 || data[4 * at + 3] === 0) start = at + 1;
        else if (at - start > best.length) best = { start, length: at - start };
      }
      const middle = best.start + Math.floor(best.length / 2);
      const box = canvas.getBoundingClientRect();
      return {
        x: box.left + (((middle % width) + 0.5) * box.width) / width,
        y: box.top + ((Math.floor(middle / width) + 0.5) * box.height) / height,
      };
    });
  }
}

/** One system and one browser for a spec file, a fresh page for each test. */
export function usePage(options: SystemOptions = {}) {
  let system: System;
  let browser: Browser;
  let driver: PageDriver;
  const opened: PageDriver[] = [];

  beforeAll(async () => {
    system = await System.start(options);
    return () => system.stop();
  }, 180_000);
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: chromiumPath ?? '',
      args: ['--no-sandbox', '--disable-background-networking'],
    });
    return () => browser.close();
  });
  beforeEach(async () => {
    driver = await open();
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close();
  });

  async function open(context: BrowserContextOptions = {}, url = system.httpUrl): Promise<PageDriver> {
    const another = await PageDriver.open(browser, url, context);
    opened.push(another);
    return another;
  }

  return {
    get system(): System {
      return system;
    },
    /** The test's own page. */
    get driver(): PageDriver {
      return driver;
    },
    /** Another page; closed after the test. */
    open,
  };
}
