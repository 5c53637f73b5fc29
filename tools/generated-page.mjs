import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Writes a page of the repository that `script` makes; with --check it only says whether it is as it would be written. */
export function writeOrCheck(page, written, script) {
  const path = join(ROOT, page);
  if (!process.argv.includes('--check')) writeFileSync(path, written);
  else if (!existsSync(path) || readFileSync(path, 'utf8') !== written) {
    console.error(`${page} is out of date: node ${script} writes it anew.`);
    process.exitCode = 1;
  }
}
