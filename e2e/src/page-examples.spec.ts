import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeMask, maskIou, type RunLengthMask } from '@segue/core';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { usePage, withoutBrowser } from './page-driver.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OUTLINES = join(ROOT, 'training/segue_training/evaluate/open_questions.jsonl');
/** Pages and programs that show a newcomer what to ask about the photos in `examples/`. */
const SHOWN_IN = ['README.md', 'examples/README.md', 'tools/src/start.ts', 'libs/page/src/examples.ts'];
/** What each example question means. */
const MEANT: Readonly<Record<string, string>> = {
  'Where could I pour a drink?': 'cup',
  'Which animal catches mice?': 'cat',
  'Who could fly a spacecraft?': 'person',
};

describe.skipIf(withoutBrowser)('the example questions, with the model that is shipped', () => {
  const fixture = usePage({ bundleDir: join(ROOT, 'models/segue-smol') });

  it.each(Object.entries(MEANT))('%s is answered rightly, on the page too', async (question, thing) => {
    const { page } = fixture.driver;
    const button = page.locator('.examples button', { hasText: question });
    const photo = (await button.getAttribute('data-photo')) ?? '';
    await button.click();
    await fixture.driver.turn(0).and(page.locator('.done')).waitFor({ timeout: 60_000 });
    expect(await fixture.driver.turn(0).locator('.phrase').allTextContents()).toEqual([`the ${thing}`]);

    const answer = await fixture.system.client.segment({
      image: readFileSync(join(ROOT, photo)),
      instruction: question,
    });
    expect(answer.segments.map(({ phrase }) => phrase)).toEqual([`the ${thing}`]);
    const [segment] = answer.segments;
    expect(maskIou(segment!.mask, await drawn(photo, thing, segment!.mask.size))).toBeGreaterThanOrEqual(0.5);
  });

  it('stand beside what the model knows', async () => {
    const { page } = fixture.driver;
    await page.getByText('What it knows').click();
    const about = page.locator('.about');
    for (const fact of ['segue-smol', 'English', '80 kinds of things', 'teddy bear']) {
      await expect.poll(() => about.textContent()).toContain(fact);
    }
    expect(await about.locator('li').count()).toBeGreaterThan(2);
  });

  it('are the only ones that are shown', () => {
    for (const file of SHOWN_IN) {
      const lines = readFileSync(join(ROOT, file), 'utf8').split('\n');
      const questions = lines.flatMap((line) =>
        [...line.matchAll(/["'`=]([A-Z][^"'`=?]*\?)["'`]/g)].map(([, text]) => text),
      );
      expect(questions.length, file).toBeGreaterThan(0);
      for (const question of questions.filter((text) => text !== 'What would keep me dry?')) {
        expect(Object.keys(MEANT), file).toContain(question);
      }
    }
  });
});

/** The outline that somebody has drawn by hand around a thing in an example photo. */
async function drawn(photo: string, thing: string, [height, width]: RunLengthMask['size']): Promise<RunLengthMask> {
  const entries = readFileSync(OUTLINES, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { photo: unknown; outlines?: Record<string, [number, number][]> });
  const outline = entries.find((entry) => `examples/${String(entry.photo)}` === photo && entry.outlines)?.outlines?.[
    thing
  ];
  if (!outline) throw new Error(`nobody has drawn an outline of the ${thing} in ${photo}`);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><polygon fill="#fff" points="${outline.join(' ')}"/></svg>`;
  const pixels = await sharp(Buffer.from(svg)).flatten({ background: '#000' }).greyscale().raw().toBuffer();
  return encodeMask(
    pixels.map((value) => Number(value > 127)),
    height,
    width,
  );
}
