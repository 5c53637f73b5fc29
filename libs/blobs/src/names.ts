const NAME = /^[a-z0-9-]{2}\/[a-z0-9-]{1,200}$/;

export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Nothing leads out of the folder or the prefix that a store has. @throws Error for what is no name: a defect of the caller. */
export function checkName(name: string): string {
  if (isName(name)) return name;
  throw new Error(`not the name of a blob: ${JSON.stringify(name)}`);
}
