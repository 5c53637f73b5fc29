// Serves other-origin.html and the client at a port of its own, as your site would, and tells what Chromium shows of it.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const FILES = {
  '/': ['text/html', 'examples/other-origin.html'],
  '/index.js': ['text/javascript', 'libs/client/dist/package/index.js'],
};
const service = process.env.SEGUE_URL ?? 'http://localhost:8080';
const port = Number(process.argv[2] ?? 3000);

const site = createServer(async ({ url }, response) => {
  const [type, file] = FILES[new URL(url, 'http://localhost').pathname] ?? [];
  if (!file) return response.writeHead(404).end();
  response.setHeader('content-type', type).end(await readFile(file));
});
await once(site.listen(port, 'localhost'), 'listening');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  const page = await browser.newPage();
  page.on('console', (message) => message.text().includes('CORS') && console.log(message.text()));
  await page.goto(`http://localhost:${site.address().port}/?service=${encodeURIComponent(service)}`);
  await page.setInputFiles('input', 'examples/coffee.jpg');
  await page.locator('p:not(:empty)').waitFor();
  console.log(await page.textContent('p'));
  console.log(`${await page.evaluate(painted)} pixels painted`);
} finally {
  await browser.close();
  site.close();
}

/** In the page: how many pixels of its canvas are not the picture's. */
async function painted() {
  const canvas = document.querySelector('canvas');
  const picture = await createImageBitmap(document.querySelector('input').files[0]);
  const { width, height } = canvas;
  const plain = new OffscreenCanvas(width, height).getContext('2d');
  plain.drawImage(picture, 0, 0);
  const [before, after] = [plain, canvas.getContext('2d')].map(
    (context) => new Uint32Array(context.getImageData(0, 0, width, height).data.buffer),
  );
  return after.filter((pixel, index) => pixel !== 0 && pixel !== before[index]).length;
}
