import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ESLint } from 'eslint';
import { beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './workspace.js';

const folder = join(ROOT, 'tools/lint-fixtures');

/** Each fixture says as which file it is linted and which rule it breaks; a rule that no longer bites fails here. */
describe('the lint rules that keep the layers apart', () => {
  const eslint = new ESLint({
    cwd: ROOT,
    // Where CI is set, typescript-eslint reads each file once and from the disk, and would not see the fixture's text.
    overrideConfig: { languageOptions: { parserOptions: { disallowAutomaticSingleRunInference: true } } },
  });

  // Writes the project graph; without one the rule on layers is skipped.
  beforeAll(() => {
    const env = { ...process.env, NX_DAEMON: 'false' };
    execFileSync(join(ROOT, 'node_modules/.bin/nx'), ['show', 'projects'], { cwd: ROOT, env });
  });

  it.each(readdirSync(folder))(
    '%s is refused',
    async (name) => {
      const code = readFileSync(join(folder, name), 'utf8');
      const as = header(code, 'as');
      const rule = header(code, 'breaks');
      const results = await eslint.lintText(code, { filePath: join(ROOT, as) });
      const broken = results.flatMap((result) => result.messages).map((message) => message.ruleId);
      expect(broken).toEqual([rule]);
    },
    120_000,
  );
});

function header(code: string, key: string): string {
  const value = new RegExp(`^// ${key}: (.+)$`, 'm').exec(code)?.[1];
  if (value === undefined) throw new Error(`A lint fixture needs a line "// ${key}: ...".`);
  return value;
}
