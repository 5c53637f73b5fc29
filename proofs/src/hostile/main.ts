import { Command } from 'commander';
import { runHostile } from './run-hostile.js';
import { endWithSignals } from '../end-with-signals.js';

endWithSignals();

const command = new Command('npm run hostile --')
  .description('What nobody should send, over every door: is it refused well, and does the service go on?')
  .option('--seed <n>', 'the same seed gives the same cases', Number, 1)
  .option('--one-in <n>', 'takes one case in so many', Number, 1)
  .parse();

const report = await runHostile({ ...command.opts<{ seed: number; oneIn: number }>(), onWrong: console.log });
console.log('\n| door | cases | wrong |\n| --- | --: | --: |');
for (const { door, cases, wrong } of report.doors) console.log(`| ${door} | ${cases} | ${wrong.length} |`);
console.log('\n| process | memory MB | handles |\n| --- | --: | --: |');
for (const { name, megabytes, handles } of report.processes)
  console.log(`| ${name} | ${megabytes.join(' → ')} | ${handles.join(' → ')} |`);
process.exit(report.doors.every(({ wrong }) => wrong.length === 0) ? 0 : 1);
