import { parseArgs } from 'node:util';
import { SegueError } from '@segue/core';
import { KeyCommands } from './key-commands.js';

const USAGE = `Usage: npm run keys -- COMMAND --file FILE
  create TENANT [--name NAME] [--expires 2027-01-31T00:00:00Z]   makes a key and prints it, once
  rotate TENANT [--keep-hours 24]   makes a key; the tenant's others end after that time
  revoke TENANT NAME                ends a key now
  list                              names of tenants and their keys
FILE holds hashes only. Gateways read it as SEGUE_API_KEYS_FILE and follow its changes.`;

const HOUR_MS = 3_600_000;

/**
 * `npm run keys`. @returns what is to be printed.
 * @throws SegueError for what the file or a name does not allow, TypeError for an option that there is not.
 */
export async function runKeys(args: readonly string[]): Promise<string> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      file: { type: 'string' },
      name: { type: 'string' },
      expires: { type: 'string' },
      'keep-hours': { type: 'string', default: '24' },
    },
  });
  const { file, name, expires } = values;
  const [command, tenant, key] = positionals;
  if (values.help || file === undefined) return USAGE;
  const commands = new KeyCommands(file);
  if (command === 'list') return (await commands.list()).join('\n');
  if (tenant === undefined) return USAGE;
  switch (command) {
    case 'create':
      return commands.create(tenant, { ...(name && { name }), ...(expires && { expires }) });
    case 'rotate':
      return commands.rotate(tenant, hours(values['keep-hours']) * HOUR_MS);
    case 'revoke':
      if (key === undefined) return USAGE;
      await commands.revoke(tenant, key);
      return `${tenant}: ${key} is revoked`;
    default:
      return USAGE;
  }
}

function hours(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw new SegueError('INVALID_ARGUMENT', `--keep-hours is "${text}". Give a number of hours, 0 for none.`);
}
