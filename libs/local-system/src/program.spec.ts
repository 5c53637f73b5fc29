import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Program } from './program.js';

const run = (script: string, options: { onLine?: (line: string) => void } = {}) =>
  new Program({ name: 'sample', command: [process.execPath, '-e', script], env: { GIVEN: 'yes' }, ...options });

const serves = (program: Program, line: string) =>
  program.serves(() => Promise.resolve(program.output.includes(line)), 10_000);

test('hands on each line, and only the given environment', async () => {
  const lines: string[] = [];
  const program = run('console.log(process.env.GIVEN, process.env.HOME); console.error("two")', {
    onLine: (line) => lines.push(line),
  });
  await program.exited;
  expect(lines.toSorted()).toEqual(['two', 'yes undefined']);
  expect(program.ended).toBe('ended with status 0');
});

test('stops with a status of its own, and is killed when it does not', async () => {
  const willing = run('process.on("SIGTERM", () => process.exit(3)); setInterval(() => {}, 1e6); console.log("up")');
  await serves(willing, 'up');
  expect(await willing.stop()).toBe(3);

  const deaf = run('process.on("SIGTERM", () => {}); setInterval(() => {}, 1e6); console.log("up")');
  await serves(deaf, 'up');
  await expect(deaf.stop(200)).rejects.toThrow('sample did not stop within 0.2 s:\nup');
  expect(deaf.ended).toBe('was ended by SIGKILL');
});

test('has all the time that a stop is given', async () => {
  const slow = run(
    'process.on("SIGTERM", () => setTimeout(() => process.exit(3), 5_500)); console.log("up"); setInterval(() => {}, 1e6)',
  );
  await serves(slow, 'up');
  expect(await slow.stop(15_000)).toBe(3);
});

test('is paused, resumed, and stopped while it is paused', async () => {
  const program = run('setInterval(() => {}, 1e6); console.log("up")');
  await serves(program, 'up');
  const state = () => readFileSync(`/proc/${program.pid}/stat`, 'utf8').split(') ')[1]?.[0];

  program.pause();
  await expect.poll(state).toBe('T');
  program.resume();
  await expect.poll(state).toBe('S');
  program.pause();
  expect(await program.stop()).toBeNull();
});

test('says how a program ended that should serve, or that it cannot be run', async () => {
  const never = () => Promise.resolve(false);
  await expect(run('console.log("no port"); process.exit(7)').serves(never, 10_000)).rejects.toThrow(
    'sample ended with status 7 before it was ready:\nno port',
  );
  const missing = new Program({ name: 'sample', command: ['/no/such/program'], env: {} });
  await expect(missing.serves(never, 10_000)).rejects.toThrow(/sample could not be run: .*ENOENT/);
});
