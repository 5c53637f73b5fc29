import { SegueError } from '@segue/core';
import { runKeys } from './access/key-command-line.js';

try {
  process.stdout.write(`${await runKeys(process.argv.slice(2))}\n`);
} catch (error) {
  if (!(error instanceof SegueError || error instanceof TypeError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
