/** Told what the language model does, so that an app can count it. Seconds are wall time of the graph's run. */
export interface LanguageObserver {
  /** A request looked for its picture's prefix. */
  onPrefix?(event: { readonly hit: boolean }): void;
  /** A prefill ran: `prefix`: over pictures and the first question about each, else over questions behind cached prefixes. `tokens`: new positions of all rows. */
  onPrefill?(event: {
    readonly prefix: boolean;
    readonly rows: number;
    readonly tokens: number;
    readonly seconds: number;
  }): void;
  /** A step ran over a batch of `rows` answers: each wrote a token, and the `accepted` ones of those that were `drafted`. */
  onDecode?(event: {
    readonly rows: number;
    readonly drafted: number;
    readonly accepted: number;
    readonly seconds: number;
  }): void;
  /** An answer ended, complete or not. */
  onAnswer?(event: { readonly tokens: number; readonly segments: number }): void;
}
