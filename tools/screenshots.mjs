// Renews docs/images/page.png from a running service and its model: npm start in one terminal, then
// node tools/screenshots.mjs [URL] in another.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchBrowser } from './browser.mjs';

const QUESTIONS = ['Where could I pour a drink?', 'Where is the cake?', 'Segment the cup and the spoon.'];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const url = process.argv[2] ?? 'http://localhost:8080';

const browser = await launchBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1240, height: 760 } });
  await page.goto(url);
  await page.setInputFiles('#file', join(root, 'examples/coffee.jpg'));
  await page.locator('#photo').waitFor();
  for (const [index, question] of QUESTIONS.entries()) {
    await page.fill('#question', question);
    await page.press('#question', 'Enter');
    await page.locator('.turn').nth(index).and(page.locator('.done')).waitFor();
  }
  await page.locator('#picture canvas').nth(1).waitFor();
  await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)));
  await page.screenshot({ path: join(root, 'docs/images/page.png') });
} finally {
  await browser.close();
}
