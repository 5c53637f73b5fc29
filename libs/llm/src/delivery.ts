/** Runs one answer's callbacks one after another, so that the batch never waits for them. */
export class Delivery {
  #last: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  /** Runs `callback` when those before it are done; nothing runs after one has failed. */
  push(callback: () => void | Promise<void>): void {
    this.#last = this.#last.then(async () => {
      if (this.#failure) return;
      try {
        await callback();
      } catch (error) {
        this.#failure = { error };
      }
    });
  }

  /** Set once a callback has failed. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Resolves when every callback so far has ended, whether well or not. */
  settled(): Promise<void> {
    return this.#last;
  }
}
