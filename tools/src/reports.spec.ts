import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readReport } from './reports.js';
import { ROOT } from './workspace.js';

let folder: string;
beforeEach(async () => {
  // Below tools, so that vitest takes its settings for this folder's files too.
  folder = await mkdtemp(join(ROOT, 'tools/reports-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a run of vitest names what failed and why, and what was not run', async () => {
  const tests = [
    `import { expect, test } from 'vitest';`,
    `test('holds', () => {});`,
    `test('adds up', () => { expect(1 + 1).toBe(3); });`,
    `test.skip('waits', () => {});`,
  ];
  await mkdir(join(folder, 'src'));
  await writeFile(join(folder, 'src/some.spec.ts'), tests.join('\n'));
  await writeFile(join(folder, 'src/unloaded.spec.ts'), `throw new Error('no Redis here');`);
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const status = await new Promise((resolve) => {
    execFile(process.execPath, [vitest, 'run', '--root', folder], (error) => resolve(error?.code));
  });
  expect(status).toBe(1);

  const at = (file: string) => expect.stringMatching(new RegExp(`^tools/reports-\\w+/src/${file}`)) as string;
  expect(readReport(join(folder, 'reports'))).toEqual({
    passed: 1,
    failed: 2,
    failures: [at('some.spec.ts: adds up: .*expected 2 to be 3'), at('unloaded.spec.ts: .*no Redis here')],
    skipped: [at('some.spec.ts: waits')],
  });
});

test('a run of pytest names what failed and why, and what was not run', async () => {
  const xml = `<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.077">
<testcase classname="tests.test_some" name="test_holds" time="0.000" />
<testcase classname="tests.test_some" name="test_adds_up" time="0.000"><failure message="assert 2 == 3&#10; +  where 2 = f()">def test_adds_up():</failure></testcase>
<testcase classname="tests.test_some" name="test_opens" time="0.000"><error message="failed on setup with &quot;no Redis&quot;">fixture</error></testcase>
<testcase classname="tests.test_some" name="test_waits" time="0.000"><skipped type="pytest.skip" message="no GPU">skip</skipped></testcase></testsuite></testsuites>`;
  await writeFile(join(folder, 'test.xml'), xml);
  expect(readReport(folder)).toEqual({
    passed: 1,
    failed: 2,
    failures: [
      'tests.test_some: test_adds_up: assert 2 == 3',
      'tests.test_some: test_opens: failed on setup with &quot;no Redis&quot;',
    ],
    skipped: ['tests.test_some: test_waits (no GPU)'],
  });
});
