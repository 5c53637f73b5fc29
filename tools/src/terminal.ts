import { stdout } from 'node:process';
import { styleText } from 'node:util';

export type Colour = 'blue' | 'cyan' | 'green' | 'magenta' | 'red' | 'yellow' | 'bold' | 'dim';

/** Whether standard output shows colours. */
export const coloured = stdout.isTTY && process.env['NO_COLOR'] === undefined;

export function paint(colour: Colour, text: string): string {
  return coloured ? styleText(colour, text) : text;
}

/** Says what is done next. */
export function step(text: string): void {
  console.log(`${paint('green', '▸')} ${text}`);
}

/** What a person can act on: shown as a sentence, without a stack. */
export class Advice extends Error {
  override readonly name = 'Advice';
}

/** Runs a command's main function; its result is the exit status. */
export async function runCommand(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    const expected = error instanceof Advice || (error instanceof Error && error.name === 'SegueError');
    console.error(paint('red', expected ? error.message : String(error instanceof Error ? error.stack : error)));
    process.exitCode = 1;
  }
}
