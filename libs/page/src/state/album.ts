import { computed, effect, signal } from '@preact/signals';
import { Problem } from '../service/service.js';
import { Conversation } from './conversation.js';
import { jobsOfLink, linkTo } from './link.js';
import { Picture } from './picture.js';

/** Pictures of a batch that are asked about at the same time. */
const ASKED_AT_ONCE = 4;

/** The pictures on the page, each with its conversation; one of them is shown. */
export class Album {
  readonly conversations = signal<readonly Conversation[]>([]);
  readonly current = signal<Conversation | undefined>(undefined);
  /** Whether a question goes to every picture. */
  readonly askAll = signal(true);
  readonly problem = signal('');
  /** Whether pictures are being read and sent. */
  readonly opening = signal(false);
  readonly running = computed(() => this.conversations.value.some(({ running }) => running.value));
  #stopped = false;

  constructor() {
    effect(() => {
      const jobIds = this.current.value?.jobIds.value ?? [];
      if (this.current.value) history.replaceState(null, '', linkTo(jobIds));
    });
  }

  /** Takes up the conversation that the page's address names, if any. */
  async openLink(): Promise<void> {
    const jobIds = jobsOfLink(location.hash);
    if (jobIds.length === 0) return;
    await this.#attempt(async () => this.#replace([await Conversation.reopen(jobIds)]));
  }

  /** Shows new pictures in place of the old ones, which stay if none of the files can be read. */
  async open(files: readonly (Blob & { readonly name?: string })[]): Promise<boolean> {
    return this.#attempt(async () => {
      const opened = await Promise.allSettled(files.map((file) => Picture.open(file, file.name)));
      const pictures = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      const refused = opened.find((result) => result.status === 'rejected');
      if (pictures.length === 0) throw refused?.reason;
      const [only] = pictures;
      // One that the service refuses is found out before it takes the place of another.
      if (only && pictures.length === 1) await only.store();
      this.#replace(pictures.map((picture) => new Conversation(picture)));
      if (refused) throw refused.reason;
    });
  }

  /** Asks about the picture that is shown, or about all of them. */
  async ask(instruction: string): Promise<void> {
    const { value: current } = this.current;
    if (!current) return this.complain('Choose a picture first.');
    if (this.running.value) return;
    this.complain('');
    this.#stopped = false;
    const queue = this.askAll.value ? [...this.conversations.value] : [current];
    const askNext = async (): Promise<void> => {
      for (let next = queue.shift(); next && !this.#stopped; next = queue.shift()) await next.ask(instruction);
    };
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, askNext));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.conversations.value.map((conversation) => conversation.stop()));
  }

  complain(sentence: string): void {
    this.problem.value = sentence;
  }

  #replace(conversations: readonly Conversation[]): void {
    for (const old of this.conversations.value) old.close();
    this.conversations.value = conversations;
    this.current.value = conversations[0];
    this.askAll.value = true;
  }

  async #attempt(action: () => Promise<void>): Promise<boolean> {
    this.complain('');
    this.opening.value = true;
    try {
      await action();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error);
      this.complain(error instanceof Problem ? error.message : 'This did not work. Load the page again.');
      return false;
    } finally {
      this.opening.value = false;
    }
  }
}
