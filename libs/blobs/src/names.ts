const NAME = /^[a-z0-9-]{2}\/[a-z0-9-]{1,200}$/;

/** What is put and deleted again to see whether a store can be used. */
export const TRIED = '00/tried';

export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Nothing leads out of the folder or the prefix that a store has. @throws Error for what is no name: a defect of the caller. */
export function checkName(name: string): string {
  if (isName(name)) return name;
  throw new Error(`not the name of a blob: ${JSON.stringify(name)}`);
}
