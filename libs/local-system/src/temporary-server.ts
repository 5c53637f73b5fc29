import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Program } from './program.js';

const START_TIMEOUT_MS = 30_000;

/** A real server on this machine's loopback, with its data in a temporary folder. */
export abstract class TemporaryServer {
  readonly port: number;
  protected readonly folder: string;
  #program: Program | undefined;

  protected constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  get program(): Program {
    if (!this.#program) throw new Error('the server was not started');
    return this.#program;
  }

  /** Ends the server as a crash does. */
  async kill(): Promise<void> {
    await this.#program?.kill();
  }

  /** Ends the server as a crash does, and starts it again after `downMs` with what it has written to its disk. */
  async restart(downMs = 0): Promise<void> {
    await this.kill();
    await sleep(downMs);
    await this.#start();
  }

  /** Ends the server and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** For the first time; nothing is left of one that does not serve. */
  protected async begin(): Promise<this> {
    try {
      await this.#start();
    } catch (error) {
      await this.stop();
      throw error;
    }
    return this;
  }

  protected abstract run(): Program;
  protected abstract answers(): Promise<boolean>;

  async #start(): Promise<void> {
    this.#program = this.run();
    await this.#program.serves(() => this.answers(), START_TIMEOUT_MS);
  }
}
