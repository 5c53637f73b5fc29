import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePort, S3Server } from '@segue/local-system';
import type { Blobs } from '@segue/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemError } from './errors.js';
import { openBlobs } from './open-blobs.js';

const NAME = 'ab/abcdef-0123';
const BYTES = Buffer.alloc(2_000_000, 'segue');
const warned: string[] = [];
const log = { info: () => undefined, warn: (_: unknown, message: string) => warned.push(message) };
const AWAY = { code: 'UNAVAILABLE', reason: 'STORE_AWAY', retryAfterMs: expect.any(Number) };

let folder: string;
let s3: S3Server;
beforeAll(async () => {
  if (!S3Server.isInstalled) return;
  s3 = await S3Server.start();
  for (const [name, value] of Object.entries(s3.env)) vi.stubEnv(name, value);
});
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'segue-blobs-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));
afterAll(async () => {
  if (S3Server.isInstalled) await s3.stop();
});

async function open(address: string, patienceMs = 0): Promise<Blobs> {
  const blobs = await openBlobs(address, { patienceMs, log });
  if (!blobs) throw new Error(`${address} is Redis`);
  return blobs;
}

async function listed(blobs: Blobs): Promise<string[]> {
  const names: string[] = [];
  for await (const page of blobs.list()) names.push(...page);
  return names.sort();
}

describe.each([
  { kind: 'a folder', address: () => pathToFileURL(folder).href },
  { kind: 'a bucket', address: () => s3.address('some/prefix') },
  { kind: 'a whole bucket', address: () => s3.address('') },
])('blobs in $kind', ({ kind, address }) => {
  describe.skipIf(kind !== 'a folder' && !S3Server.isInstalled)('', () => {
    let blobs: Blobs;
    beforeEach(async () => (blobs = await open(address())));
    afterEach(() => blobs.close());

    it('are put, read, listed and deleted', async () => {
      expect(await blobs.problem('write')).toBeUndefined();
      expect(await blobs.problem('read')).toBeUndefined();
      expect(await blobs.get(NAME)).toBeUndefined();
      expect(await listed(blobs)).toEqual([]);
      await blobs.put(NAME, BYTES);
      await blobs.put('00/zero', new Uint8Array(0));
      expect(Buffer.compare((await blobs.get(NAME)) ?? Buffer.of(), BYTES)).toBe(0);
      expect(await blobs.get('00/zero')).toHaveLength(0);
      expect(await listed(blobs)).toEqual(['00/zero', NAME]);
      for (const name of [NAME, NAME, '00/zero']) await blobs.delete(name);
      expect(await blobs.get(NAME)).toBeUndefined();
      expect(await listed(blobs)).toEqual([]);
    });

    it.each(['../etc/passwd', '/etc/passwd', 'ab/../../x', 'ab', 'ab/', 'ab/c/d', 'ab/c\0', 'AB/c', ''])(
      'have no name that leads elsewhere: %j',
      async (name) => {
        await expect(blobs.get(name)).rejects.toThrow('not the name of a blob');
        await expect(blobs.put(name, BYTES)).rejects.toThrow('not the name of a blob');
        await expect(blobs.delete(name)).rejects.toThrow('not the name of a blob');
      },
    );

    it('are there whole or not at all, however often they are written', async () => {
      const other = Buffer.alloc(1_500_000, 'other');
      const seen = new Set<number>();
      let writing = true;
      const write = async () => {
        for (let times = 0; times < 10; times++) await blobs.put(NAME, times % 2 ? BYTES : other);
        writing = false;
      };
      const read = async () => {
        while (writing) {
          const found = await blobs.get(NAME);
          const whole = !found || [BYTES, other].some((bytes) => Buffer.compare(bytes, found) === 0);
          expect(whole).toBe(true);
          seen.add(found?.length ?? 0);
        }
      };
      await Promise.all([write(), read(), read()]);
      expect(seen.size).toBeGreaterThan(1);
      await blobs.delete(NAME);
    });

    it('are left as soon as a signal says so', async () => {
      const reason = new Error('the job was cancelled');
      await expect(blobs.get(NAME, AbortSignal.abort(reason))).rejects.toBe(reason);
      await expect(blobs.put(NAME, BYTES, AbortSignal.abort(reason))).rejects.toBe(reason);
      const enough = new AbortController();
      const putting = blobs.put(NAME, Buffer.alloc(30_000_000), enough.signal);
      setImmediate(() => enough.abort(reason));
      await expect(putting).rejects.toBe(reason);
      expect(await blobs.get(NAME)).toBeUndefined();
      await expect.poll(() => listed(blobs)).toEqual([]);
    });
  });
});

describe('a folder', () => {
  it('that cannot be used says why, and what to do', async () => {
    const missing = await open(pathToFileURL(join(folder, 'missing')).href);
    expect(await missing.problem('read')).toMatch(/^There is no folder .*missing\. Make it, or mount the volume/);
    await expect(missing.put(NAME, BYTES)).rejects.toMatchObject(AWAY);
    await expect(missing.get(NAME)).rejects.toMatchObject(AWAY);
    await writeFile(join(folder, 'file'), '');
    expect(await (await open(pathToFileURL(join(folder, 'file')).href)).problem('read')).toMatch(/^There is no folder/);
  });

  it('that may not be written says whose it must be', async () => {
    const blobs = await open(pathToFileURL(folder).href);
    await chmod(folder, 0o555);
    const isRoot = process.getuid?.() === 0; // who may do everything
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect(await blobs.problem('read')).toBeUndefined();
      expect(await blobs.problem('write')).toMatch(/^User \d+ may not write in .* \(EACCES\)/);
    } finally {
      if (isRoot) process.seteuid?.(0);
      await chmod(folder, 0o755);
    }
  });

  it.each(['ENOSPC', 'EDQUOT'])('that is full (%s) has no room', (code) => {
    const full = systemError(Object.assign(new Error(code), { code }));
    expect(full).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 60_000 });
  });

  it('lists neither links nor what others have put there', async () => {
    const blobs = await open(pathToFileURL(folder).href);
    await blobs.put(NAME, BYTES);
    await symlink('/etc', join(folder, 'et'));
    await symlink('/etc/passwd', join(folder, 'ab/passwd'));
    await writeFile(join(folder, 'notes.txt'), '');
    await writeFile(join(folder, 'ab/Notes.txt'), '');
    expect(await listed(blobs)).toEqual([NAME]);
  });
});

/** What the way to S3 does to one request after another; nothing once there is no more. */
type Fault = 'silent' | 'cut' | 'half' | { readonly status: number; readonly code: string };

describe.skipIf(!S3Server.isInstalled)('S3', () => {
  const faults: Fault[] = [];
  let way: Server;
  let address: string;
  beforeAll(async () => {
    way = createServer((asked, answer) => pass(asked, answer, faults.shift()));
    way.listen(0, '127.0.0.1');
    await once(way, 'listening');
    address = s3.address('faults', { url: `http://127.0.0.1:${(way.address() as AddressInfo).port}` });
  });
  afterEach(() => void faults.splice(0));
  afterAll(() => {
    way.closeAllConnections();
    way.close();
  });

  function pass(asked: IncomingMessage, answer: ServerResponse, fault: Fault | undefined): void {
    if (fault === 'silent') return;
    if (fault === 'cut') return void asked.socket.destroy();
    if (typeof fault === 'object') {
      asked.resume();
      answer.writeHead(fault.status, { 'content-type': 'application/xml' });
      return void answer.end(`<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>No.</Message></Error>`);
    }
    const { method, url: path, headers } = asked;
    const forwarded = request({ host: '127.0.0.1', port: s3.port, method, path, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 500, answered.headers);
      if (fault === 'half') answered.once('data', (chunk) => answer.write(chunk) && answered.pause());
      else answered.pipe(answer);
    });
    asked.pipe(forwarded);
  }

  it.each<Fault>([
    { status: 503, code: 'SlowDown' },
    { status: 500, code: 'InternalError' },
    { status: 429, code: 'TooManyRequests' },
    'cut',
  ])('is asked again after %j, as long as there is patience', async (fault) => {
    const [patient, hasty] = [await open(address, 60_000), await open(address)];
    faults.push(fault, fault);
    await patient.put(NAME, BYTES);
    faults.push(fault, fault);
    expect(await patient.get(NAME)).toHaveLength(BYTES.length);
    faults.push(fault);
    await expect(hasty.get(NAME)).rejects.toMatchObject(AWAY);
    faults.push(fault);
    await expect(hasty.put(NAME, BYTES)).rejects.toMatchObject(AWAY);
    patient.close();
    hasty.close();
  });

  it('that falls silent before its answer or in its midst is given up after some seconds, and asked again', async () => {
    const blobs = await open(address, 60_000);
    await blobs.put(NAME, BYTES);
    faults.push('silent', 'half');
    const startedAt = performance.now();
    const read = async () => {
      expect(await blobs.get(NAME)).toHaveLength(BYTES.length);
      return performance.now() - startedAt;
    };
    for (const ms of await Promise.all([read(), read()])) expect(ms).toBeGreaterThan(4_000);
    blobs.close();
  });

  it.each<Fault>(['silent', 'half'])('that falls %s is left when a signal says so', async (fault) => {
    const blobs = await open(address, 60_000);
    await blobs.put(NAME, BYTES);
    faults.push(fault);
    const reason = new Error('its deadline passed');
    const startedAt = performance.now();
    const enough = new AbortController();
    setTimeout(() => enough.abort(reason), 100);
    await expect(blobs.get(NAME, enough.signal)).rejects.toBe(reason);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    blobs.close();
  });

  it.each([
    { status: 507, code: 'XMinioStorageFull' },
    { status: 403, code: 'QuotaExceeded' },
  ])('that is full ($code) has no room', async (fault) => {
    const blobs = await open(address);
    faults.push(fault);
    await expect(blobs.put(NAME, BYTES)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 60_000 });
    blobs.close();
  });

  it('that refuses is not asked again', async () => {
    const blobs = await open(address, 60_000);
    faults.push({ status: 403, code: 'AccessDenied' });
    await expect(blobs.get(NAME)).rejects.toMatchObject({ name: 'AccessDenied' });
    blobs.close();
  });

  it('that cannot be used says why, and what to do', async () => {
    const problem = async (at: string): Promise<string | undefined> => {
      const blobs = await open(at);
      return blobs.problem('write').finally(() => blobs.close());
    };
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect(await problem(s3.address('', { url: nobody }))).toMatch(/does not answer .*\(ECONNREFUSED\)/);
    expect(await problem(s3.address('', { bucket: 'nowhere' }))).toMatch(/^There is no bucket "nowhere".*Make it/);
    const elsewhere = s3.address().replace('us-east-1', 'eu-central-1');
    expect(await problem(elsewhere)).toMatch(/^The region of the bucket "pictures" is missing or wrong/);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'another');
    expect(await problem(s3.address())).toMatch(/refuses these credentials \(SignatureDoesNotMatch\).*s3:PutObject/);
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    expect(await problem(s3.address())).toMatch(/^There are no credentials for S3\. Set AWS_ACCESS_KEY_ID/);
    for (const [name, value] of Object.entries(s3.env)) vi.stubEnv(name, value);
  });

  it('lists more than fit into one page', async () => {
    const blobs = await open(s3.address('many'));
    const names = Array.from({ length: 1_003 }, (_, i) => `aa/${String(i).padStart(4, '0')}`);
    await mkdir(join(s3.bucketFolder, 'many/aa'), { recursive: true });
    await Promise.all(names.map((name) => writeFile(join(s3.bucketFolder, 'many', name), '')));
    expect(await listed(blobs)).toEqual(names);
    blobs.close();
  });
});

describe('SEGUE_PICTURE_STORE', () => {
  it.each(['redis://', 'redis:'])('may be %s: then there is nothing else', async (address) => {
    expect(await openBlobs(address, { patienceMs: 0, log })).toBeUndefined();
  });

  it.each([
    ['redis://another:6379', 'SEGUE_REDIS_URL says where'],
    ['file://host/folder', 'three slashes'],
    ['file:///', 'three slashes'],
    ['s3://', 'only the bucket'],
    ['s3://bucket?key=secret', 'only the bucket'],
    ['s3://key:secret@bucket', 'only the bucket'],
    ['s3://bucket?endpoint=localhost:9000', 'https:// or http://'],
    ['http://bucket', 'must begin with'],
  ])('is refused as %s', async (address, problem) => {
    const refused = openBlobs(address, { patienceMs: 0, log });
    await expect(refused).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(problem),
    });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('secret') });
  });
});
