type Write = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** The part of a structured logger that libraries need; pino's `Logger` is one. */
export interface Log {
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
}
