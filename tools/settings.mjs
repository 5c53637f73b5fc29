// Writes docs/reference/settings.md from the settings that the apps declare (`defineConfig`): names, defaults, and their
// comments. `node tools/settings.mjs` writes it; with --check it only says whether it is as it would be written.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { writeOrCheck } from './generated-page.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const APPS = ['gateway', 'encoder-worker', 'llm-worker', 'decoder-worker'];
/** Where settings are declared that several apps have, and constants that are their defaults. */
const SHARED = [
  'libs/core/src/job.ts',
  'libs/service/src/config.ts',
  'libs/worker/src/settings.ts',
  'libs/llm/src/language-model.ts',
];

/** Which argument of a kind of setting is its default, where that is not the first. */
const FALLBACK_AT = { oneOf: 1, someOf: 1, url: 1, textLike: 2 };

/** Declarations that are spread into an app's settings: name → what it returns or is. */
const declared = new Map(SHARED.flatMap((path) => [...declarationsIn(parse(path))]));

function parse(path) {
  return ts.createSourceFile(path, readFileSync(join(ROOT, path), 'utf8'), ts.ScriptTarget.Latest, true);
}

function* declarationsIn(source) {
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (initializer) yield [name.getText(), initializer];
    }
  }
}

/** Settings of an object literal, or of what leads to one, in their order: { name, comment, type, fallback }. */
function settingsOf(node, defaults = {}) {
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node)) return settingsOf(node.expression, defaults);
  if (ts.isArrowFunction(node)) return settingsOf(node.body, defaults);
  if (ts.isIdentifier(node)) return settingsOf(known(node.text), defaults);
  if (ts.isCallExpression(node))
    return settingsOf(known(node.expression.getText()), valueOf(node.arguments[0], defaults));
  if (!ts.isObjectLiteralExpression(node)) throw new Error(`no settings: ${node.getText()}`);
  return node.properties.flatMap((property) => {
    if (ts.isSpreadAssignment(property)) return settingsOf(property.expression, defaults);
    return [settingOf(property, defaults)];
  });
}

function known(name) {
  const found = declared.get(name);
  if (!found) throw new Error(`tools/settings.mjs does not know where ${name} is declared: add its file to SHARED`);
  return found;
}

function settingOf(property, defaults) {
  const [comment] = ts.getJSDocCommentsAndTags(property).map((doc) => ts.getTextOfJSDocComment(doc.comment) ?? '');
  const call = property.initializer;
  const kind = call.expression.getText();
  const fallback = kind === 'list' ? '' : valueOf(call.arguments[FALLBACK_AT[kind] ?? 0], defaults);
  const several = kind === 'someOf';
  const words = several || kind === 'oneOf' ? valueOf(call.arguments[0], defaults) : undefined;
  return { name: property.name.getText(), comment: comment?.replace(/\s+/g, ' '), fallback, words, several };
}

/** A constant of the source: numbers, texts, lists, sums of them. */
function valueOf(node, defaults) {
  if (!node) return undefined;
  if (ts.isAsExpression(node)) return valueOf(node.expression, defaults);
  const names = [...new Set(node.getText().match(/[A-Z_]{2,}/g))].filter((name) => declared.has(name));
  const constants = names.map((name) => valueOf(declared.get(name)));
  return Function('defaults', ...names, `return (${node.getText()})`)(defaults, ...constants);
}

function variable(name) {
  return `SEGUE_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function show(fallback) {
  const text = [fallback].flat().join(',');
  return text === '' ? '' : `\`${text}\``;
}

/** Settings under one comment share it. */
function rows(settings) {
  let shared;
  const lines = settings.map(({ name, comment = shared, fallback, words, several }) => {
    if (comment === undefined) throw new Error(`The setting ${name} has no comment: say above it what it is for.`);
    shared = comment;
    const choice = words ? ` ${several ? 'Some' : 'One'} of ${words.map((word) => `\`${word}\``).join(', ')}.` : '';
    return `| \`${variable(name)}\` | ${show(fallback)} | ${(comment + choice).replaceAll('|', '\\|')} |`;
  });
  return ['| variable | default | |', '|---|---|---|', ...lines].join('\n');
}

function page() {
  const apps = APPS.map((app) => {
    const source = parse(`apps/${app}/src/config.ts`);
    const [, call] = [...declarationsIn(source)].find(([name]) => name === 'readConfig') ?? [];
    return { app, settings: settingsOf(call.arguments[0]) };
  });
  const sameInAll = ({ name, fallback }) =>
    apps.every(({ settings }) =>
      settings.some((other) => other.name === name && String(other.fallback) === String(fallback)),
    );
  const own = ({ app, settings }) => `## ${app}\n\n${rows(settings.filter((setting) => !sameInAll(setting)))}`;
  return `# Settings

Environment variables of the four apps. An empty variable counts as unset; a wrong one stops the app at its start, with
all that are wrong in one message. Made from the source by \`node tools/settings.mjs\`.

## All apps

${rows(apps[0].settings.filter(sameInAll))}

${apps.map(own).join('\n\n')}
`;
}

writeOrCheck('docs/reference/settings.md', page(), 'tools/settings.mjs');
