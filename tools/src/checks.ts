import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { oneCheck, succeeds, type Counts } from './counts.js';
import { ROOT } from './workspace.js';

const GENERATED = 'libs/contracts/src/gen';

/** The contracts are well-formed and formatted, break nothing released, and the committed code is what they generate. */
export function checkGeneratedCode(folder: string): Counts {
  const generated = join(folder, 'generated');
  const passed =
    bin('buf', 'lint') &&
    bin('buf', 'format', '--diff', '--exit-code') &&
    breaksNothingReleased() &&
    bin('buf', 'generate', '--output', generated) &&
    succeeds('diff', ['--recursive', GENERATED, join(generated, GENERATED)]);
  if (!passed) console.log('If only the generated code is out of date: npm run proto');
  return oneCheck(passed);
}

export function checkFormat(): Counts {
  return oneCheck(bin('prettier', '--check', '--log-level=warn', '.'));
}

/** The layers are linted by Nx's project graph, which the first command writes; without it their rule would be skipped. */
export function checkLint(): Counts {
  return oneCheck(bin('nx', 'sync:check') && bin('eslint', '.', '--max-warnings=0'));
}

export function checkTypes(): Counts {
  return oneCheck(bin('tsc', '--project', 'tsconfig.spec.json') && bin('tsc', '--build', 'libs/page'));
}

/** Compares the contracts with those of the last release, a tag `v*`; before the first one nothing can be broken. */
function breaksNothingReleased(): boolean {
  const git = spawnSync('git', ['describe', '--tags', '--abbrev=0', '--match=v*'], { cwd: ROOT, encoding: 'utf8' });
  if (git.status !== 0) {
    console.log('  No release yet: the contracts are not compared with an earlier version.');
    return true;
  }
  return bin('buf', 'breaking', '--against', `.git#tag=${git.stdout.trim()}`);
}

function bin(name: string, ...args: string[]): boolean {
  const path = join(ROOT, 'node_modules/.bin');
  return succeeds(join(path, name), args, { PATH: `${path}:${process.env['PATH'] ?? ''}`, NX_DAEMON: 'false' });
}
