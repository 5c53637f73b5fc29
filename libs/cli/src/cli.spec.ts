import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeMask, SegueError } from '@segue/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batch } from './batch.js';
import { report } from './failure.js';
import { findPhotos } from './photos.js';

const MASK = encodeMask(new Uint8Array([0, 1, 1, 0, 1, 0]), 2, 3);
const ANSWER = {
  job_id: 'j1',
  text: 'the cup <SEG>.',
  segments: [{ index: 0, phrase: 'the cup', span: [0, 7], mask: MASK, box: [0, 0, 3, 2], area: 3, score: 0.5 }],
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segue-cli-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('findPhotos', () => {
  it('takes files, folders and patterns, each photo once', async () => {
    await mkdir(join(folder, 'trip'));
    for (const name of ['b.JPG', 'a.png', 'notes.txt']) await writeFile(join(folder, 'trip', name), name);
    const trip = join(folder, 'trip');
    const photos = await findPhotos([join(trip, 'b.JPG'), trip, join(trip, '*.png')]);
    expect(photos.map(({ path, stem }) => [path, stem])).toEqual([
      [join(trip, 'b.JPG'), 'b'],
      [join(trip, 'a.png'), 'a'],
    ]);
    expect(String(await photos[1]!.read())).toBe('a.png');
  });

  it.each(['nothing', 'nothing/*.jpg', '.'])('says that there is no photo at %s', async (name) => {
    await expect(findPhotos([join(folder, name)])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('batch', () => {
  let server: Server;
  let asked: number;
  let failing: boolean;
  beforeEach(async () => {
    asked = 0;
    failing = false;
    server = createServer((request, response) => {
      request.resume().on('end', () => {
        const send = (status: number, body: unknown) =>
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        if (request.url === '/v1/images') return send(201, { image_id: 'i1', width: 3, height: 2 });
        if (failing) return send(400, { code: 'INVALID_ARGUMENT', detail: 'No.' });
        asked++;
        return send(200, ANSWER);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    for (const name of ['a.jpg', 'b.jpg']) await writeFile(join(folder, name), name);
    const lines = ['a.jpg', 'b.jpg'].map((photo) => JSON.stringify({ photo, question: 'Where is the cup?' }));
    await writeFile(join(folder, 'questions.jsonl'), `${lines.join('\n')}\n`);
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const run = () =>
    batch(join(folder, 'questions.jsonl'), {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      out: join(folder, 'coco.json'),
      concurrency: 2,
    });
  const coco = async () => JSON.parse(await readFile(join(folder, 'coco.json'), 'utf8')) as Record<string, unknown[]>;

  it('writes a COCO file, and asks nothing twice', async () => {
    expect(await run()).toBe(0);
    expect(await coco()).toMatchObject({
      images: [
        { id: 1, file_name: 'a.jpg', width: 3, height: 2 },
        { id: 2, file_name: 'b.jpg', width: 3, height: 2 },
      ],
      annotations: [
        { id: 1, image_id: 1, category_id: 1, segmentation: MASK, bbox: [0, 0, 3, 2], area: 3, iscrowd: 0 },
        { id: 2, image_id: 2, category_id: 1 },
      ],
      categories: [{ id: 1, name: 'the cup' }],
    });
    expect(asked).toBe(2);
    // A run that was killed while it wrote leaves half a line.
    const journal = join(folder, 'coco.json.answers.jsonl');
    const lines = (await readFile(journal, 'utf8')).trim().split('\n');
    await writeFile(journal, `${lines[0]}\n${lines[1]!.slice(0, 40)}`);
    expect(await run()).toBe(0);
    expect(asked).toBe(3);
    expect((await coco()).annotations).toHaveLength(2);
  });

  it('goes on after a question that is refused, and says so in its exit status', async () => {
    failing = true;
    expect(await run()).toBe(2);
    failing = false;
    expect(await run()).toBe(0);
    expect(asked).toBe(2);
  });

  it('names the line that it cannot read', async () => {
    await writeFile(join(folder, 'questions.jsonl'), '{"photo": "a.jpg"}\n');
    await expect(run()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('Line 1'),
    });
  });
});

it.each([
  [new SegueError('NOT_FOUND', 'no'), 3],
  [new SegueError('RESOURCE_EXHAUSTED', 'no'), 4],
  [new SegueError('CANCELLED', 'no'), 130],
  [new TypeError('defect'), 1],
])('gives %s its exit status', (error, status) => {
  expect(report(error)).toBe(status);
});
