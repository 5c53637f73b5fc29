// Writes docs/reference/metrics.md from the metrics that the apps declare: names, kinds, labels and their help.
// `node tools/metrics.mjs` writes it; with --check it only says whether it is as it would be written.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { writeOrCheck } from './generated-page.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const SOURCES = [
  ['All apps', ['libs/service/src/metrics.ts']],
  ['gateway', ['gateway', 'job', 'load'].map((subject) => `apps/gateway/src/metrics/${subject}-metrics.ts`)],
  ['The three workers', ['libs/worker/src/metrics.ts']],
  ['llm-worker', ['apps/llm-worker/src/language-metrics.ts']],
];
const KINDS = ['Counter', 'Gauge', 'Histogram'];

/** Every metric that a file declares, as { name, kind, labels, help }. */
function metricsOf(path) {
  const source = ts.createSourceFile(path, readFileSync(join(ROOT, path), 'utf8'), ts.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    const called = ts.isNewExpression(node) || ts.isCallExpression(node) ? node.expression.getText() : '';
    if (KINDS.includes(called)) declare(called, fieldsOf(node.arguments[0]));
    // A function of the file that makes one gauge for each stage.
    if (called === 'gauge')
      declare('Gauge', { name: node.arguments[0], help: node.arguments[1], labelNames: ['stage'] });
    ts.forEachChild(node, visit);
  };
  const declare = (kind, { name, help, labelNames = [] }) => {
    if (!ts.isStringLiteralLike(name)) return;
    const labels = Array.isArray(labelNames) ? labelNames : labelNames.elements.map(({ text }) => text);
    found.push({ name: name.text, kind: kind.toLowerCase(), labels, help: help.text });
  };
  visit(source);
  return found;
}

function fieldsOf(object) {
  const fields = object.properties.filter(ts.isPropertyAssignment).map((one) => [one.name.getText(), one.initializer]);
  // `name` alone, without a value of its own, is handed on from a call that is looked at itself.
  return { name: ts.factory.createIdentifier('name'), ...Object.fromEntries(fields) };
}

function table(paths) {
  const lines = paths.flatMap(metricsOf).map(({ name, kind, labels, help }) => {
    const shown = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${kind} | ${shown} | ${help.replaceAll('|', '\\|').replaceAll('<', '\\<')} |`;
  });
  return ['| metric | kind | labels | |', '|---|---|---|---|', ...lines].join('\n');
}

function page() {
  const sections = SOURCES.map(([title, paths]) => `## ${title}\n\n${table(paths)}`);
  return `# Metrics

What \`/metrics\` answers, at the HTTP port of a worker and at the admin port of a gateway, besides Node's own metrics. All have the label
\`app\`. Seconds are seconds, bytes are bytes. Of the queues, the stages' load and the dead letters every gateway tells the same: take the
largest, never the sum. Made from the source by \`node tools/metrics.mjs\`.

${sections.join('\n\n')}
`;
}

writeOrCheck('docs/reference/metrics.md', page(), 'tools/metrics.mjs');
