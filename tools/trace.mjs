// Renews docs/images/trace.png: starts the four apps, takes the spans of the second question, which is the first about its picture, as a
// collector would, and draws them. After npm start -- --once, which builds.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SegueClient } from '@segue/client';
import { LocalSystem } from '@segue/local-system';
import { launchBrowser } from './browser.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const TRACE = '0af7651916cd43dd8448eb211c80319c';

const spans = [];
const collector = createServer(async (request, response) => {
  const { resourceSpans } = await json(request);
  for (const { resource, scopeSpans } of resourceSpans) {
    const app = resource.attributes.find(({ key }) => key === 'service.name').value.stringValue;
    spans.push(...scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ ...span, app }))));
  }
  response.end('{}');
}).listen(0, '127.0.0.1');
await once(collector, 'listening');

const system = await LocalSystem.start({
  bundleDir: join(root, 'models/segue-smol'),
  env: {
    SEGUE_LOG_LEVEL: 'warn',
    SEGUE_TRACES_URL: `http://127.0.0.1:${collector.address().port}/v1/traces`,
    OTEL_BSP_SCHEDULE_DELAY: '200',
  },
});
try {
  const [{ url }] = system.apps.filter(({ kind }) => kind === 'gateway');
  const ask = (photo, instruction, headers = {}) =>
    new SegueClient({ baseUrl: url, headers }).segment({
      image: readFileSync(join(root, 'examples', photo)),
      instruction,
    });
  await ask('cat.jpg', 'Segment the cat.');
  await ask('coffee.jpg', 'Where is the drink?', { traceparent: `00-${TRACE}-b7ad6b7169203331-01` });
  await sleep(2_000);
} finally {
  await system.stop();
  collector.close();
}

/** The spans of the trace as a tree, each after its parent, in the order in which they began. */
function tree(parent, depth = 0) {
  const children = trace.filter(({ parentSpanId }) => parentSpanId === parent);
  return children
    .toSorted((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)))
    .flatMap((span) => [{ ...span, depth }, ...tree(span.spanId, depth + 1)]);
}
const trace = spans.filter(({ traceId }) => traceId === TRACE);
const ordered = tree('b7ad6b7169203331');
const ms = (nanoseconds) => Number(BigInt(nanoseconds) - BigInt(ordered[0].startTimeUnixNano)) / 1e6;
const rows = ordered.map(({ name, app, depth, attributes, startTimeUnixNano, endTimeUnixNano }) => {
  const value = (key) => attributes.find((one) => one.key === key)?.value.stringValue ?? '';
  return {
    name: `${name} ${value('segue.graph')}${value('segue.tensor')}`,
    app,
    depth,
    from: ms(startTimeUnixNano),
    to: ms(endTimeUnixNano),
  };
});

/** In the page: a line for each span. */
function draw(lines) {
  const COLOURS = {
    gateway: '#3274d9',
    'encoder-worker': '#37872d',
    'llm-worker': '#e0752d',
    'decoder-worker': '#a352cc',
  };
  const whole = Math.max(...lines.map(({ to }) => to));
  const add = (parent, style, text = '') => {
    const box = parent.appendChild(document.createElement('div'));
    box.style.cssText = style;
    box.textContent = text;
    return box;
  };
  const key = add(document.body, 'display:flex;gap:24px;padding:8px');
  for (const [app, colour] of Object.entries(COLOURS))
    add(key, `border-left:14px solid ${colour};padding-left:6px`, app);
  for (const { name, app, depth, from, to } of lines) {
    const line = add(document.body, 'display:flex;height:19px;align-items:center');
    add(line, `width:330px;padding-left:${8 + 14 * depth}px;box-sizing:border-box`, name);
    add(line, 'width:80px;text-align:right;padding-right:12px', `${(to - from).toFixed(1)} ms`);
    const lane = add(line, 'position:relative;flex:1;height:100%;border-bottom:1px solid #eee');
    const width = Math.max(0.15, (100 * (to - from)) / whole);
    add(
      lane,
      `position:absolute;left:${(100 * from) / whole}%;width:${width}%;top:3px;height:12px;background:${COLOURS[app]}`,
    );
  }
}

const browser = await launchBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1240, height: 200 } });
  await page.addStyleTag({ content: 'body { margin: 0 12px 12px; font: 12px sans-serif; background: #fff }' });
  await page.evaluate(draw, rows);
  await page.screenshot({ path: join(root, 'docs/images/trace.png'), fullPage: true });
} finally {
  await browser.close();
}
