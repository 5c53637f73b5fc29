import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify, stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProgram } from '@segue/local-system';
import { MANY_SEGMENTS, WIDE } from './pictures.js';
import { System } from './system.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAM = join(ROOT, 'libs/cli/bin/segue.js');
const PHOTO = 'wide.png';

let system: System;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segue-cli-'));
  await writeFile(join(folder, PHOTO), WIDE);
  system = await System.start({ env: { SEGUE_LIST_PUBLIC_JOBS: 'on' } });
});
afterAll(async () => {
  await system.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A zsh at a pseudo-terminal, without anybody's settings: takes the script and what is typed, and tells its line at Ctrl-T. */
const ZSH_TYPES = `
zmodload zsh/zpty
zpty shell 'PS1="> " zsh -f -i'
zpty -w shell 'source completion.zsh; tell() { print -r "LINE""<$BUFFER>" }; zle -N tell; bindkey ^T tell'
zpty -w -n shell "$TYPED"
zpty -r -m shell REPLY '*LINE<*>*'
print -r -- "\${\${REPLY##*LINE<}%%>*}"
`;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program as a person would, from an empty folder. */
async function segue(args: readonly string[], input?: Uint8Array): Promise<Ended> {
  const env = { PATH: process.env['PATH'] ?? '', SEGUE_URL: system.httpUrl, SEGUE_MODELS_DIR: join(ROOT, 'models') };
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: folder, env });
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await ended, stdout, stderr };
}

describe('segue', () => {
  it('asks, and says words on standard output and the rest on standard error', async () => {
    const { status, stdout, stderr } = await segue(['ask', PHOTO, MANY_SEGMENTS, '--out', 'answers']);
    expect(status).toBe(0);
    const expected = await system.client.segment({ image: WIDE, instruction: MANY_SEGMENTS });
    expect(stdout.trim()).toBe(expected.text.trim());
    for (const { phrase, score } of expected.segments) {
      expect(stderr).toContain(phrase);
      expect(stderr).toContain(`score ${score.toFixed(2)}${score < 0.5 ? ', not sure' : ''}\n`);
    }
    expect((await readdir(join(folder, 'answers'))).sort()).toEqual(['wide.json', 'wide.overlay.png']);
  });

  it('reads a photo from standard input and prints JSON that is one line', async () => {
    const { status, stdout } = await segue(['ask', '-', MANY_SEGMENTS, '--json'], WIDE);
    expect(status).toBe(0);
    expect(stdout.match(/\n/g)).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ photo: '-', question: MANY_SEGMENTS, segments: expect.any(Array) });
  });

  it('answers in one process as the service does', async () => {
    const local = await segue(['local', PHOTO, MANY_SEGMENTS, '--json', '--model', 'tiny-random']);
    const served = await segue(['ask', PHOTO, MANY_SEGMENTS, '--json']);
    const answerOf = ({ stdout }: Ended) => {
      const { text: words, segments } = JSON.parse(stdout) as { text: string; segments: unknown };
      return { words, segments };
    };
    expect(answerOf(local)).toEqual(answerOf(served));
  });

  it('submits, lists, watches and shows jobs', async () => {
    const jobId = (await segue(['jobs', 'submit', PHOTO, 'Segment the cup.'])).stdout.trim();
    const watched = await segue(['jobs', 'watch', jobId]);
    const job = JSON.parse((await segue(['jobs', 'get', jobId])).stdout) as { state: string; answer: { text: string } };
    expect(job.state).toBe('completed');
    expect(watched.stdout.trim()).toBe(job.answer.text.trim());
    const { stdout } = await segue(['jobs', 'list', '--state', 'completed', '--limit', '1']);
    expect(stdout).toMatch(new RegExp(`^${jobId}  completed  \\S+  Segment the cup\\.\\n$`));
    expect((await segue(['jobs', 'cancel', jobId])).stdout).toContain('"completed"');
  });

  it('answers a file of questions', async () => {
    const questions = ['Segment the cup.', MANY_SEGMENTS].map((question) => JSON.stringify({ photo: PHOTO, question }));
    await writeFile(join(folder, 'questions.jsonl'), questions.join('\n'));
    const { status, stderr } = await segue(['batch', 'questions.jsonl', '--out', 'coco.json']);
    expect([status, stderr]).toEqual([0, expect.stringContaining('2/2')]);
    expect(JSON.parse(await readFile(join(folder, 'coco.json'), 'utf8'))).toMatchObject({ images: [{ id: 1 }] });
  });

  it('shows operators what the stages do and what became of jobs', async () => {
    await system.client.segment({ image: WIDE, instruction: MANY_SEGMENTS });
    const { adminUrl } = system.app('gateway');
    const shown = async () => (await segue(['top', '--once', '--admin-url', adminUrl])).stdout.split('\n');
    const stages = ['encode', 'generate', 'decode'].map((stage) => `^${stage} +1 +0 % +0 +[\\d.]+ +0\\.0 s`);
    const lines = [...stages, '^completed +[1-9]', '^mean( +[\\d.]+ s){5}$'];
    const expected = lines.map((line) => expect.stringMatching(new RegExp(line)) as unknown);
    await expect.poll(shown, { timeout: 30_000 }).toEqual(expect.arrayContaining(expected));
    const { status, stderr } = await segue(['top', '--once', '--admin-url', 'http://127.0.0.1:9']);
    expect([status, stderr]).toEqual([4, expect.stringContaining('SEGUE_ADMIN_URL')]);
  });

  it('keeps to a small terminal, and gives it back as it was when it is ended', async ({ skip }) => {
    skip(!findProgram(['script']), 'not tried, for want of script (Debian: bsdutils)');
    const top = `${process.execPath} ${PROGRAM} top --admin-url ${system.app('gateway').adminUrl}`;
    const command = `stty rows 6 cols 40; timeout --foreground 5 ${top}`;
    const { stdout } = await run('script', ['-qec', command, '/dev/null'], { timeout: 30_000 }).catch(
      (ended: { stdout: string }) => ended, // with the status of timeout
    );
    expect(stdout).toMatch(/^\x1b\[\?1049h\x1b\[\?25l[^]*\x1b\[\?25h\x1b\[\?1049l$/);
    const frames = stdout
      .split('\x1b[H')
      .slice(1)
      .map((frame) => frame.split('\r\n').map(stripVTControlCharacters));
    expect(frames.length).toBeGreaterThan(1);
    for (const frame of frames) {
      expect(frame.map((line) => line.length < 40)).toEqual(Array(6).fill(true));
      expect(frame[3]).toMatch(/^encode +1 +\d+ %/);
    }
  });

  it('measures the service', async () => {
    const args = ['bench', system.httpUrl, '--clients', '2', '--rate', '20', '--questions', '3', '--json'];
    const { status, stdout, stderr } = await segue(args);
    expect([status, stderr]).toEqual([0, '']);
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { load: string; errors: number });
    expect(rows.map(({ load, errors }) => [load, errors])).toEqual([
      ['2 clients', 0],
      ['20/s arriving', 0],
    ]);
  });

  it('finds a whole installation whole, and names what is missing', async () => {
    const whole = await segue(['doctor', '--model', 'tiny-random']);
    expect(whole.stdout).toMatch(/ok +a question/);
    expect(whole.status, whole.stdout).toBe(0);
    const broken = await segue(['doctor', '--model', 'nope', '--url', 'http://127.0.0.1:9']);
    expect(broken.status).toBe(1);
    expect(broken.stdout).toMatch(/BAD +model here[^]*There is no model bundle[^]*BAD +service[^]*npm start/);
  });

  it.each([
    [2, ['ask', PHOTO]],
    [2, ['ask', PHOTO, 'x', '--format', 'gif']],
    [3, ['ask', 'nothing.jpg', 'What is it?']],
    [3, ['jobs', 'get', '0'.repeat(32)]],
    [4, ['ask', PHOTO, 'What is it?', '--url', 'http://127.0.0.1:9']],
  ])('ends with %i for %j', async (expected, args) => {
    const { status, stdout, stderr } = await segue(args);
    expect([status, stdout]).toEqual([expected, '']);
    expect(stderr).not.toMatch(/\n {4}at /);
  });

  it('completes in bash', async () => {
    const { stdout: script } = await segue(['completion', 'bash']);
    const complete = async (...words: readonly string[]) => {
      const ask = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _segue; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await run('bash', ['-c', `${script}\n${ask}`], { cwd: folder })).stdout.trim().split('\n');
    };
    expect(await complete('segue', 'jo')).toEqual(['jobs']);
    expect(await complete('segue', 'jobs', '')).toEqual(expect.arrayContaining(['list', 'submit', 'watch']));
    expect(await complete('segue', 'ask', '--fo')).toEqual(['--format']);
    expect(await complete('segue', 'ask', '--format', 'p')).toEqual(expect.arrayContaining(['png', 'polygon']));
  });

  it('completes in zsh, at a terminal of its own', async ({ skip }) => {
    skip(!findProgram(['zsh']), 'not tried, for want of zsh');
    const { stdout: script } = await segue(['completion', 'zsh']);
    await writeFile(join(folder, 'completion.zsh'), script);
    /** The line where what was typed is followed by a tab. */
    const complete = async (typed: string) => {
      const env = { PATH: process.env['PATH'], HOME: folder, TERM: 'dumb', TYPED: `${typed}\t\u0014` };
      const { stdout } = await run('zsh', ['-f', '-c', ZSH_TYPES], { cwd: folder, env, timeout: 20_000 });
      return stdout.trim();
    };
    expect(await complete('segue jo')).toBe('segue jobs');
    expect(await complete('segue jobs su')).toBe('segue jobs submit');
    expect(await complete('segue ask --fo')).toBe('segue ask --format');
    expect(await complete('segue ask --format pn')).toBe('segue ask --format png');
    expect(await complete('segue ask wi')).toBe(`segue ask ${PHOTO}`);
  });

  it('tells its version and its help in no time', async () => {
    const took: number[] = [];
    for (let i = 0; i < 3; i++) {
      const startedAt = performance.now();
      expect((await segue(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
      took.push(performance.now() - startedAt);
    }
    expect((await segue(['--help'])).stdout).toContain('Examples:');
    console.log(`  segue --version: ${Math.round(Math.min(...took))} ms`);
    // Half a second on a machine that does nothing else.
    expect(Math.min(...took)).toBeLessThan(1_500);
  });
});
