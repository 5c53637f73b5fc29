type Write = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** The part of a structured logger that this library needs; pino's `Logger` is one. */
export interface JobsLog {
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
}
