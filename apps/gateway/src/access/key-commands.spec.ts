import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runKeys } from './key-command-line.js';
import { KeyCommands } from './key-commands.js';
import { Keyring, parseKeyring } from './keyring.js';

let folder: string;
let file: string;
let commands: KeyCommands;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segue-keys-'));
  file = join(folder, 'keys.json');
  commands = new KeyCommands(file);
});
afterEach(() => rm(folder, { recursive: true }));

const keyring = async () => new Keyring(parseKeyring(await readFile(file, 'utf8')));

it('makes keys of which only hashes are kept', async () => {
  const key = await commands.create('acme');
  expect(key).toMatch(/^segue_[\w-]{43}$/);
  expect((await keyring()).holderOf(key)).toMatchObject({ name: 'acme' });
  expect(await readFile(file, 'utf8')).not.toContain(key.slice(6));
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

it('rotates: the new key is valid, the old one for a while', async () => {
  const old = await commands.create('acme');
  const fresh = await commands.rotate('acme', 60_000);
  expect((await keyring()).holderOf(old)).toBeDefined();
  expect((await keyring()).holderOf(fresh)).toBeDefined();
  await commands.rotate('acme', -1);
  expect((await keyring()).holderOf(old)).toBeUndefined();
  expect((await keyring()).holderOf(fresh)).toBeUndefined();
  expect(await commands.list()).toHaveLength(3);
});

it('revokes', async () => {
  const key = await commands.create('acme', { name: 'laptop' });
  await commands.revoke('acme', 'laptop');
  expect((await keyring()).holderOf(key)).toBeUndefined();
  await expect(commands.revoke('acme', 'laptop')).rejects.toThrow('has no key');
  await expect(commands.revoke('toString', 'laptop')).rejects.toThrow('no tenant');
});

it('writes nothing that a gateway could not read', async () => {
  await commands.create('acme');
  await expect(commands.create('Not a name')).rejects.toThrow('must be corrected');
  await expect(commands.create('acme', { expires: 'soon' })).rejects.toThrow('must be corrected');
  expect(await commands.list()).toEqual(['acme\tkey-1']);
});

it('is used from the command line, which says how where it is asked otherwise', async () => {
  const key = await runKeys([
    'create',
    'acme',
    '--name',
    'laptop',
    '--expires',
    '2099-01-31T00:00:00Z',
    '--file',
    file,
  ]);
  expect((await keyring()).holderOf(key)).toMatchObject({ name: 'acme' });
  const fresh = await runKeys(['rotate', 'acme', '--keep-hours', '0', '--file', file]);
  expect((await keyring()).holderOf(key)).toBeUndefined();
  expect(await runKeys(['list', '--file', file])).toMatch(/^acme\tlaptop\tuntil \S+\nacme\tkey-1$/);
  expect(await runKeys(['revoke', 'acme', 'key-1', '--file', file])).toBe('acme: key-1 is revoked');
  expect((await keyring()).holderOf(fresh)).toBeUndefined();
  const unclear = [
    ['list'],
    ['create', '--file', file],
    ['revoke', 'acme', '--file', file],
    ['sell', 'acme', '--file', file],
  ];
  for (const args of unclear) expect(await runKeys(args), args.join(' ')).toMatch(/^Usage: npm run keys/);
  await expect(runKeys(['list', '--fil', file])).rejects.toThrow(TypeError);
  await expect(runKeys(['rotate', 'acme', '--keep-hours', 'soon', '--file', file])).rejects.toThrow(
    '--keep-hours is "soon"',
  );
});
