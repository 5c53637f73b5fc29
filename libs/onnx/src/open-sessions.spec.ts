import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { Bundle, Graph } from '@segue/bundle';
import type { SegueError } from '@segue/core';
import type { SessionGroup } from '@segue/inference';
import type { Tensor } from '@segue/tensors';
import { openSessions, type OpenSessionsOptions } from './open-sessions.js';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
const opened: SessionGroup[] = [];
const fatal: SegueError[] = [];
const options: OpenSessionsOptions = { threads: 1, hardLimitMs: 30_000, onFatal: (error) => fatal.push(error) };

afterEach(async () => {
  for (const group of opened.splice(0)) await group.close();
  expect(fatal.splice(0)).toEqual([]);
});

describe('openSessions', () => {
  it('runs a graph whose weights lie in a file of their own', async () => {
    const { scale } = (await open(['scale'])).sessions;
    const { y, count, bits, ...rest } = await scale.run({ x: rows(2, 0.5) });
    expect(y).toEqual({
      dtype: 'float32',
      shape: [2, 256],
      data: Float32Array.from({ length: 512 }, (_, i) => 0.5 * ((i % 256) + 1)),
    });
    expect(count).toEqual({ dtype: 'int64', shape: [1], data: BigInt64Array.of(2n) });
    expect(bits).toEqual({ dtype: 'uint8', shape: [2, 256], data: new Uint8Array(512).fill(1) });
    expect(rest).toEqual({});
  });

  it('runs a graph on no rows at all', async () => {
    const { scale } = (await open(['scale'])).sessions;
    expect((await scale.run({ x: rows(0) })).y).toEqual({
      dtype: 'float32',
      shape: [0, 256],
      data: new Float32Array(),
    });
  });

  it.each([true, false])('gives the same with prepacking %s', async (prepack) => {
    const { scale } = (await open(['scale'], { prepack })).sessions;
    expect((await scale.run({ x: rows(1, 3) })).y?.data[255]).toBe(768);
  });

  it('fetches only the outputs that the manifest names', async () => {
    const { scale } = (
      await open(['scale'], {}, (graphs) => ({ ...graphs.scale!, outputs: graphs.scale!.outputs.slice(0, 1) }))
    ).sessions;
    expect(Object.keys(await scale.run({ x: rows(1) }))).toEqual(['y']);
  });

  it('leaves inputs as they are unless they may be handed over', async () => {
    const { scale } = (await open(['scale'])).sessions;
    const kept = rows(1);
    const given = rows(1);
    await scale.run({ x: kept });
    await scale.run({ x: given }, { transfer: ['x'] });
    expect([kept.data.length, given.data.length]).toEqual([256, 0]);
  });

  it('gives lent inputs back', async () => {
    const { scale } = (await open(['scale'])).sessions;
    const lent = rows(1, 3);
    const { x, y } = await scale.run({ x: lent }, { lend: ['x'] });
    expect(lent.data.length).toBe(0);
    expect(x).toEqual(rows(1, 3));
    expect(y?.data[1]).toBe(6);
  });

  it('copies a view out of a larger buffer even if it may be handed over', async () => {
    const { scale } = (await open(['scale'])).sessions;
    const all = new Float32Array(512).fill(2);
    const x: Tensor = { dtype: 'float32', shape: [1, 256], data: all.subarray(256) };
    expect((await scale.run({ x }, { transfer: ['x'] })).y?.data[0]).toBe(2);
    expect(all.length).toBe(512);
  });

  it('takes two inputs in one buffer', async () => {
    const { spin } = (await open(['spin'])).sessions;
    const scalar: Tensor = { dtype: 'int64', shape: [], data: BigInt64Array.of(1n) };
    expect((await spin.run({ steps: scalar, index: scalar }, { transfer: ['steps', 'index'] })).last?.data[0]).toBe(5);
  });

  it('does not block the event loop, and answers runs in their order', async () => {
    const { spin, scale } = (await open(['spin', 'scale'])).sessions;
    const order: string[] = [];
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    await Promise.all([
      spin.run(steps(30_000)).then(() => order.push('spin')),
      scale.run({ x: rows(1) }).then(() => order.push('scale')),
    ]);
    clearInterval(ticking);
    expect(order).toEqual(['spin', 'scale']);
    expect(ticks).toBeGreaterThan(5);
  });

  it('reports a failing run, keeps its cause, and goes on', async () => {
    const { spin } = (await open(['spin'])).sessions;
    const error = await failure(spin.run(steps(1, 7)));
    expect(error).toMatchObject({
      code: 'INTERNAL',
      cause: { message: expect.stringContaining('out of data bounds') as string },
    });
    expect(error.message).not.toContain('Gather');
    expect((await spin.run(steps(1))).last?.data[0]).toBe(3);
  });

  it('reports feeds that the graph does not take', async () => {
    const { scale } = (await open(['scale'])).sessions;
    expect((await failure(scale.run({ pixels: rows(1) }))).code).toBe('INTERNAL');
  });

  it('reports a run that outlives the hard limit, once its turn has come', { timeout: 60_000 }, async () => {
    const { spin } = (await open(['spin'], { hardLimitMs: 1_500 })).sessions;
    // Each stays far below the limit; all of them together do not.
    await Promise.all(Array.from({ length: 40 }, () => spin.run(steps(8_000))));
    expect(fatal).toEqual([]);
    // The second of two is too long, however fast the machine is: its clock starts when the first has ended.
    const begunAtMs = performance.now();
    await spin.run(steps(8_000));
    const tooMany = Math.ceil((8_000 * 4 * 1_500) / (performance.now() - begunAtMs));
    await Promise.all([spin.run(steps(1)), spin.run(steps(tooMany))]);
    expect(fatal.splice(0)).toEqual([
      expect.objectContaining({ message: 'A run of the graph spin took more than 1500 ms.' }),
    ]);
  });

  it('ends the runs in flight before closing, and refuses later ones', async () => {
    const group = await open(['spin']);
    const running = group.sessions.spin.run(steps(10_000));
    const closed = group.close();
    expect((await failure(group.sessions.spin.run(steps(1)))).code).toBe('UNAVAILABLE');
    expect((await running).last?.data[0]).toBe(3);
    await closed;
    await group.close();
  });
});

describe('openSessions refuses', () => {
  it('a graph that the manifest does not hold', async () => {
    expect((await failure(open(['sam']))).message).toBe('The bundle fixture@1.0.0 has no graph "sam".');
  });

  it('a file that is no graph', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'segue-onnx-'));
    await writeFile(join(dir, 'broken.onnx'), 'version https://git-lfs.github.com/spec/v1');
    const error = await failure(
      open(['scale'], {}, ({ scale }) => ({ ...scale!, file: join(dir, 'broken.onnx') }), ''),
    );
    await rm(dir, { recursive: true });
    expect(error.message).toBe(`The graph ${join(dir, 'broken.onnx')} cannot be loaded.`);
    expect(error.cause).toBeInstanceOf(Error);
  });

  it.each(['../sc.bin', '/etc/host', 'other.bin'])(
    'weights in a file that the manifest does not name (%s)',
    async (location) => {
      const error = await failure(openMoved(location));
      expect(error.message).toContain('scale.onnx of fixture@1.0.0 is not what its manifest says');
      expect(error.message).toContain(`weights in "${location}" are in the graph but not in the manifest`);
    },
  );

  it('weights outside the bundle, though the manifest names the link to them', async () => {
    expect((await failure(openMoved('link.file', ['link.file']))).message).toMatch(/^The graph .* cannot be loaded\.$/);
  });

  const changes: [string, Partial<Graph>, string][] = [
    ['an input', { inputs: [value('pixels', 'float32', 1)] }, 'input "pixels" is in the manifest but not in the graph'],
    [
      'an undeclared input',
      { inputs: [value('pixels', 'float32', 1)] },
      'input "x" is in the graph but not in the manifest',
    ],
    ['an output', { outputs: [value('z', 'float32', 1)] }, 'output "z" is in the manifest but not in the graph'],
    [
      'a type',
      { outputs: [value('y', 'uint8', 'rows', 256)] },
      'output "y" is uint8[rows, 256] in the manifest and float32[rows, 256] in the graph',
    ],
    [
      'a size',
      { inputs: [value('x', 'float32', 'n', 255)] },
      'input "x" is float32[n, 255] in the manifest and float32[rows, 256] in the graph',
    ],
    ['a rank', { inputs: [value('x', 'float32', 'n')] }, 'input "x" is float32[n] in the manifest and'],
  ];
  it.each(changes)('a graph that differs from its manifest in %s', async (_, change, message) => {
    const error = await failure(open(['scale'], {}, ({ scale }) => ({ ...scale!, ...change })));
    expect(error.message).toContain('scale.onnx of fixture@1.0.0 is not what its manifest says');
    expect(error.message).toContain(message);
  });
});

function value(
  name: string,
  dtype: 'float32' | 'int64' | 'uint8',
  ...shape: (number | string)[]
): Graph['inputs'][number] {
  return { name, dtype, shape };
}

function weights(file: string): Graph['externalData'][number] {
  return { file, sha256: '', bytes: 0 };
}

/** Opens `scale` as if it had its weights elsewhere, in a folder where they can be read under every name. */
async function openMoved(location: string, declared = ['scale.bin']): Promise<SessionGroup> {
  const root = await mkdtemp(join(tmpdir(), 'segue-onnx-'));
  const bundle = join(root, 'bundle');
  try {
    await mkdir(bundle);
    for (const name of ['sc.bin', 'bundle/scale.bin', 'bundle/other.bin'])
      await copyFile(join(fixtures, 'scale.bin'), join(root, name));
    await symlink('../sc.bin', join(bundle, 'link.file'));
    const graph = (await readFile(join(fixtures, 'scale.onnx'))).toString('latin1').replace('scale.bin', location);
    await writeFile(join(bundle, 'scale.onnx'), graph, 'latin1');
    return await open(['scale'], {}, ({ scale }) => ({ ...scale!, externalData: declared.map(weights) }), `${bundle}/`);
  } finally {
    await rm(root, { recursive: true });
  }
}

const GRAPHS: Record<string, Graph> = {
  scale: {
    ...{ file: 'scale.onnx', sha256: '', bytes: 0, externalData: [weights('scale.bin')] },
    inputs: [value('x', 'float32', 'rows', 256)],
    outputs: [value('y', 'float32', 'rows', 256), value('count', 'int64', 1), value('bits', 'uint8', 'rows', 256)],
  },
  spin: {
    ...{ file: 'spin.onnx', sha256: '', bytes: 0, externalData: [] },
    inputs: [value('steps', 'int64'), value('index', 'int64')],
    outputs: [value('last', 'float32', 64, 64)],
  },
};

/** Opens graphs of the fixture, `scale` changed if asked. */
async function open<K extends string>(
  keys: readonly K[],
  changed: Partial<OpenSessionsOptions> = {},
  change: (graphs: Record<string, Graph>) => Graph = ({ scale }) => scale!,
  folder = fixtures,
): Promise<SessionGroup<K>> {
  const graphs = { ...GRAPHS, scale: change(GRAPHS) };
  const bundle = {
    id: 'fixture@1.0.0',
    manifest: { graphs },
    file: (name: string) => folder + name,
  } as unknown as Bundle;
  const group = await openSessions(bundle, keys, { ...options, ...changed });
  opened.push(group);
  return group;
}

function rows(count: number, value = 1): Tensor {
  return { dtype: 'float32', shape: [count, 256], data: new Float32Array(count * 256).fill(value) };
}

function steps(count: number, index = 0): Record<string, Tensor> {
  const scalar = (number: number): Tensor => ({ dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(number)) });
  return { steps: scalar(count), index: scalar(index) };
}

async function failure(promise: Promise<unknown>): Promise<SegueError> {
  return promise.then(
    () => Promise.reject(new Error('expected a failure')),
    (error: SegueError) => error,
  );
}
