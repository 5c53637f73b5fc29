import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What runs leave behind: the Python environment, quick results. Not under version control. */
export const STATE_FOLDER = join(ROOT, '.segue', 'bench');

/** Folder of the bundle that everyone serves. */
export const BUNDLE = process.env['SEGUE_BUNDLE'] ?? join(ROOT, 'models', 'segue-smol');

export function step(text: string): void {
  console.log(`▸ ${text}`);
}
