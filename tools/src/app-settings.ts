import { join } from 'node:path';
import { ROOT } from './workspace.js';

/** An app's settings when no other variable is set. Read by path: apps are no libraries, nothing may import them. */
export async function defaults(
  app: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<string, unknown>>> {
  const { readConfig } = (await import(join(ROOT, 'apps', app, 'src/config.ts'))) as {
    readConfig: (env: Readonly<Record<string, string>>) => Readonly<Record<string, unknown>>;
  };
  return readConfig(env);
}
