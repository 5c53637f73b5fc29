import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Advice, coloured, paint, type Colour } from './terminal.js';
import { ROOT } from './workspace.js';

export interface ProcessOptions {
  readonly name: string;
  readonly colour: Colour;
  readonly command: readonly [program: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
}

const NAME_WIDTH = 'encoder-worker'.length;

/** A program that runs beside this one, its output shown line by line behind its name. */
export class ManagedProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  constructor({ name, colour, command: [program, ...args], env }: ProcessOptions) {
    this.name = name;
    this.#child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...(coloured && { FORCE_COLOR: '1' }), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own process group: a terminal's Ctrl-C reaches only this program, which then stops the others in order.
      detached: true,
    });
    this.#exited = once(this.#child, 'exit').then(() => undefined);
    const prefix = paint(colour, `${name.padEnd(NAME_WIDTH)} │`);
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      if (output) createInterface(output).on('line', (line) => console.log(`${prefix} ${line}`));
    }
  }

  /** How it ended; undefined while it runs. */
  get ended(): string | undefined {
    const { exitCode, signalCode } = this.#child;
    if (signalCode !== null) return `ended by ${signalCode}`;
    return exitCode === null ? undefined : `ended with status ${exitCode}`;
  }

  /** Settles when the program has ended. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Asks it to stop, and ends it when it takes longer than `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    if (this.ended !== undefined) return;
    this.#child.kill('SIGTERM');
    const timer = new AbortController();
    const late = sleep(graceMs, 'late', { signal: timer.signal }).catch(() => undefined);
    if ((await Promise.race([this.#exited, late])) === 'late') {
      console.log(`${this.name} did not stop within ${graceMs / 1000} s and is ended`);
      this.kill();
      await this.#exited;
    }
    timer.abort();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Programs that are stopped together. */
export class ProcessGroup {
  readonly #processes: ManagedProcess[] = [];
  #stopping = false;

  /** @throws Advice once the group is being stopped, so that nothing is started behind its back. */
  start(options: ProcessOptions): ManagedProcess {
    if (this.#stopping) throw new Advice(`${options.name} is not started: everything is being stopped.`);
    const started = new ManagedProcess(options);
    this.#processes.push(started);
    return started;
  }

  /** Settles with the first program that ends. */
  firstEnded(): Promise<ManagedProcess> {
    return Promise.race(this.#processes.map((one) => one.exited.then(() => one)));
  }

  kill(): void {
    for (const one of this.#processes) one.kill();
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#processes.map((one) => one.stop(graceMs)));
  }
}
