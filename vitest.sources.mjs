// Node's hooks for reading TypeScript sources; see vitest.threads.mjs.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** `./picture.js` is `./picture.ts` where the sources are. @type {import('node:module').ResolveHook} */
export async function resolve(specifier, context, next) {
  if (specifier.startsWith('.') && specifier.endsWith('.js')) {
    const source = new URL(specifier.replace(/js$/, 'ts'), context.parentURL);
    if (source.protocol === 'file:' && existsSync(source)) return next(source.href, context);
  }
  return next(specifier, { ...context, conditions: ['@segue/source', ...context.conditions] });
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const { transformSync } = await import('rolldown/utils');
  const path = fileURLToPath(url);
  const { code } = transformSync(path, readFileSync(path, 'utf8'), { lang: 'ts' });
  return { format: 'module', source: code, shortCircuit: true };
}
