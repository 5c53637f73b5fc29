/**
 * Makes text that people wrote unable to act as a control token: every control token in it gets a space after its first
 * character (`<SEG>` becomes `< SEG>`), again and again until none is left, since a space may form another one.
 *
 * `controlTokens`: contents of the tokenizer's added tokens. `allowed`: the one that may stay, in an earlier answer.
 */
export function neutralise(text: string, controlTokens: readonly string[], allowed?: string): string {
  const forbidden = controlTokens.filter((token) => token !== allowed);
  let found = forbidden.find((token) => text.includes(token));
  while (found !== undefined) {
    const split = splitToken(found);
    text = text.replaceAll(found, () => split);
    found = forbidden.find((token) => text.includes(token));
  }
  return text;
}

/** Whether a control token is gone once it is split; a run of blanks, for one, is not. */
export function canNeutralise(token: string): boolean {
  return !splitToken(token).includes(token);
}

function splitToken(token: string): string {
  const [first = '', ...rest] = token;
  return `${first} ${rest.join('')}`;
}
