import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

export interface ProgramOptions {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  /** All that the program finds in its environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Gets each line of the program's output as it is written. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** Lines of output that are kept to say why a program ended. */
const KEPT_LINES = 2_000;
const START_TIMEOUT_MS = 180_000;
const STOP_TIMEOUT_MS = 20_000;

function spawn({ command: [program, ...args], env, cwd = process.cwd() }: ProgramOptions) {
  return execa(program, args, {
    env,
    cwd,
    extendEnv: false,
    stdin: 'ignore',
    buffer: false,
    reject: false,
    // Its own process group: a terminal's Ctrl-C reaches only this program, which then stops the others in order.
    detached: true,
    // How long a stop may take is said by stop().
    forceKillAfterDelay: false,
  });
}

/** Ended with this program, however that ends. */
const running = new Set<Program>();
process.once('exit', () => {
  for (const program of running) program.signal('SIGKILL');
});

/** A program that runs beside this one. However this one ends, it is ended too. */
export class Program {
  readonly name: string;
  /** Settles when the program has ended. */
  readonly exited: Promise<void>;
  readonly #child: ReturnType<typeof spawn>;
  readonly #lines: string[] = [];
  #ended: string | undefined;

  constructor(options: ProgramOptions) {
    this.name = options.name;
    this.#child = spawn(options);
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      createInterface(output).on('line', (line) => {
        if (this.#lines.push(line) > KEPT_LINES) this.#lines.shift();
        options.onLine?.(line);
      });
    }
    running.add(this);
    this.exited = this.#child.then(({ exitCode, signal, originalMessage }) => {
      running.delete(this);
      if (signal !== undefined) this.#ended = `was ended by ${signal}`;
      else
        this.#ended = exitCode === undefined ? `could not be run: ${originalMessage}` : `ended with status ${exitCode}`;
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The last lines that it wrote. */
  get output(): string {
    return this.#lines.join('\n');
  }

  /** How it ended, to follow its name; undefined while it runs. */
  get ended(): string | undefined {
    return this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** It hangs, as on a machine that is frozen, until {@link resume}. */
  pause(): void {
    this.signal('SIGSTOP');
  }

  resume(): void {
    this.signal('SIGCONT');
  }

  /** Ends it without a warning, as a crash does. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /**
   * Asks it to stop, as Kubernetes does.
   * @returns its exit status; null when it had been ended by a signal.
   * @throws Error when it has not stopped after `graceMs`; it is killed then.
   */
  async stop(graceMs = STOP_TIMEOUT_MS): Promise<number | null> {
    this.signal('SIGTERM');
    this.resume(); // one that is paused would not hear of it
    const late = new AbortController();
    const timer = sleep(graceMs, 'late', { signal: late.signal, ref: false }).catch(() => undefined);
    if ((await Promise.race([this.exited, timer])) === 'late') {
      await this.kill();
      throw new Error(`${this.name} did not stop within ${graceMs / 1000} s:\n${this.output}`);
    }
    late.abort();
    return this.#child.exitCode ?? null;
  }

  /** Waits until a GET of the address succeeds; see {@link serves}. */
  ready(url: string, timeoutMs = START_TIMEOUT_MS): Promise<void> {
    return this.serves(() => answersOk(url), timeoutMs);
  }

  /**
   * Asks again and again until the program serves.
   * @throws Error when it has ended, or does not serve within `timeoutMs`.
   */
  async serves(isServing: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await isServing())) {
      if (this.ended !== undefined) throw new Error(`${this.name} ${this.ended} before it was ready:\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`${this.name} was not ready in time:\n${this.output}`);
      await sleep(50);
    }
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false; // nobody listens yet
  }
}
