import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { runIndependence } from './run-independence.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const command = new Command('npm run independence --')
  .description('Does an answer depend on what is asked beside it, on threads, or on caches?')
  .option('--questions <n>', 'how many', Number, 200)
  .option('--model <name>', 'bundle in models/', 'segue-smol')
  .parse();
const { questions, model } = command.opts<{ questions: number; model: string }>();

console.log('| asked | questions | other words | other masks | other scores | most at once | from the cache | s |');
console.log('| --- | --: | --: | --: | --: | --: | --: | --: |');
const reports = await runIndependence({
  bundleDir: join(ROOT, 'models', model),
  photos: join(ROOT, 'examples'),
  questions,
  onWay({ way, elapsedMs, example, ...counts }) {
    const { words, masks, scores, mostRows, hits } = counts;
    const cells = [way, counts.questions, words, masks, scores, mostRows, hits, (elapsedMs / 1000).toFixed(0)];
    console.log(`| ${cells.join(' | ')} |`);
    if (example !== undefined) console.error(example);
  },
});
process.exitCode = reports.every(({ words, masks }) => words + masks === 0) ? 0 : 1;
