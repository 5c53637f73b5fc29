// Renews docs/images/dashboard.png: draws the panels of components/monitoring/dashboard.json from what a running Prometheus answers.
// node tools/dashboard.mjs [PROMETHEUS_URL [MINUTES]]
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchBrowser } from './browser.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [url = 'http://127.0.0.1:9090', minutes = '15'] = process.argv.slice(2);
const { panels } = JSON.parse(readFileSync(join(root, 'k8s/components/monitoring/dashboard.json'), 'utf8'));
const plotting = dirname(createRequire(import.meta.url).resolve('uplot'));

const STEP_S = 5;
const end = Math.floor(Date.now() / 1000 / STEP_S) * STEP_S;
const start = end - Number(minutes) * 60;
const times = Array.from({ length: (end - start) / STEP_S + 1 }, (_, index) => start + index * STEP_S);

/** The series of one query of a panel, each with a value or null for each of the times. */
async function series({ expr, legendFormat }) {
  const asked = new URLSearchParams({ query: expr, start, end, step: STEP_S });
  const { data } = await (await fetch(`${url}/api/v1/query_range?${asked}`)).json();
  return data.result.map(({ metric, values }) => {
    const at = new Map(values.map(([time, value]) => [time, Number(value)]));
    return {
      label: legendFormat.replace(/\{\{(\w+)\}\}/g, (_, name) => metric[name] ?? ''),
      values: times.map((time) => (Number.isFinite(at.get(time)) ? at.get(time) : null)),
    };
  });
}

const drawn = await Promise.all(
  panels.map(async (panel) => ({ ...panel, series: (await Promise.all((panel.targets ?? []).map(series))).flat() })),
);

/** In the page: every panel at its place of a grid of 24 columns. */
function draw({ panels: all, times: xs }) {
  const COLUMN = 60;
  const ROW = 30;
  const COLOURS = ['#3274d9', '#e0752d', '#37872d', '#a352cc', '#c4162a', '#8f6b00', '#1f9e9e', '#666666'];
  const UNITS = {
    s: (value) => (value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`),
    bytes: (value) => `${Math.round(value / 2 ** 20)} MiB`,
    Bps: (value) => `${Number((value / 1e3).toPrecision(2))} kB/s`,
    percentunit: (value) => `${Number((100 * value).toPrecision(3))} %`,
  };
  for (const { type, title, gridPos, series: lines, fieldConfig } of all) {
    const box = document.createElement('div');
    box.className = type;
    const width = gridPos.w * COLUMN - 8;
    const height = gridPos.h * ROW - 8;
    box.style.cssText = `left:${gridPos.x * COLUMN}px;top:${gridPos.y * ROW}px;width:${width}px;height:${height}px`;
    const heading = box.appendChild(document.createElement('h2'));
    heading.textContent = title;
    document.body.append(box);
    const { unit = '', min = null } = fieldConfig?.defaults ?? {};
    const show = UNITS[unit] ?? ((value) => String(Number(value.toPrecision(3))));
    if (type === 'stat') {
      const last = ({ label, values }) =>
        `${lines.length > 1 ? `${label} ` : ''}${show(values.findLast((v) => v !== null) ?? 0)}`;
      box.appendChild(document.createElement('p')).textContent = lines.map(last).join(', ') || 'no data';
    }
    if (type !== 'timeseries') continue;
    const options = {
      width,
      height: height - 24 - 20 * Math.ceil(Math.max(1, lines.length) / 3),
      scales: { y: { range: (_, low, high) => [min ?? low ?? 0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ space: 90 }, { size: 64, values: (_, ticks) => ticks.map(show) }],
      series: [
        {},
        ...lines.map(({ label }, index) => ({ label, stroke: COLOURS[index % COLOURS.length], width: 1.5 })),
      ],
      legend: { live: false },
      cursor: { show: false },
    };
    new window.uPlot(options, [xs, ...lines.map(({ values }) => values)], box);
  }
  const bottom = Math.max(...all.map(({ gridPos }) => gridPos.y + gridPos.h));
  document.body.style.height = `${bottom * ROW}px`;
}

const browser = await launchBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.addStyleTag({ path: join(plotting, 'uPlot.min.css') });
  await page.addStyleTag({
    content: `
      body { margin: 0; position: relative; background: #f4f5f5; font: 13px sans-serif }
      body > div { position: absolute; overflow: hidden; background: #fff; border: 1px solid #ddd; box-sizing: border-box }
      body > .row { background: none; border: 0 }
      h2 { margin: 4px 8px; font-size: 13px } .row h2 { font-size: 15px }
      .stat p { margin: 24px 8px; text-align: center; font-size: 26px }
      .u-legend { font-size: 11px; text-align: left } .u-legend th { padding: 0 4px } .u-legend .u-value { display: none }`,
  });
  await page.addScriptTag({ path: join(plotting, 'uPlot.iife.min.js') });
  await page.evaluate(draw, { panels: drawn, times });
  await page.screenshot({ path: join(root, 'docs/images/dashboard.png'), fullPage: true });
} finally {
  await browser.close();
}
