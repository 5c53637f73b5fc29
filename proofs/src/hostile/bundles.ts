import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadBundle } from '@segue/bundle';
import { SegueError } from '@segue/core';
import { openSessions } from '@segue/onnx';
import { TINY_BUNDLE_DIR } from '@segue/testing';
import { below, damaged, type Case, type Random } from './case.js';

/** A bundle that differs from a good one; it must be refused by a sentence that names what is wrong, or be as good. */
function bundle(name: string, spoil: (dir: string) => void, refused: boolean): Case {
  return {
    name: `bundle: ${name}`,
    async run() {
      const dir = mkdtempSync(join(tmpdir(), 'segue-hostile-'));
      try {
        cpSync(TINY_BUNDLE_DIR, dir, { recursive: true });
        spoil(dir);
        const bundle = await loadBundle(dir);
        const graphs = Object.keys(bundle.manifest.graphs);
        await (await openSessions(bundle, graphs, { threads: 1, hardLimitMs: 60_000, onFatal: () => {} })).close();
        return refused ? 'it was taken' : undefined;
      } catch (error) {
        if (error instanceof SegueError && error.message.length > 20) return undefined;
        return `it was refused by ${String(error)}`;
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
  };
}

const VALUES: readonly unknown[] = [null, -1, 1e308, '', '../../etc/passwd', '/etc/passwd', [], {}, true];

type Path = readonly (string | number)[];

function leaves(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

function changed(value: unknown, [key, ...rest]: Path, to: unknown): unknown {
  if (key === undefined) return to;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[key] = changed(copy[key], rest, to);
  return copy;
}

/** Changes bytes in a graph for as many others, and writes the manifest's hash anew. */
function replaceInGraph(dir: string, from: string, to: string): void {
  const graph = readFileSync(join(dir, 'language.onnx'), 'latin1').replaceAll(from, to);
  writeFileSync(join(dir, 'language.onnx'), graph, 'latin1');
  const sha256 = createHash('sha256').update(graph, 'latin1').digest('hex');
  const manifest: unknown = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'));
  const told = changed(manifest, ['graphs', 'language', 'sha256'], sha256);
  writeFileSync(join(dir, 'manifest.json'), JSON.stringify(told));
}

const WEIGHTS = 'language-base-0.bin';

export function bundleCases(random: Random): Case[] {
  const manifest: unknown = JSON.parse(readFileSync(join(TINY_BUNDLE_DIR, 'manifest.json'), 'utf8'));
  const paths = leaves(manifest);
  const edit = (dir: string, path: Path, to: unknown) =>
    writeFileSync(join(dir, 'manifest.json'), JSON.stringify(changed(manifest, path, to)));
  const files = readdirSync(TINY_BUNDLE_DIR).filter((name) => /\.(onnx|bin)$|^tokenizer/.test(name));
  return [
    ...Array.from({ length: 60 }, () => {
      const path = paths[below(paths.length, random)] as Path;
      const value = VALUES[below(VALUES.length, random)];
      const isFile = path.at(-1) === 'file' || path.at(-1) === 'sha256';
      return bundle(`${path.join('.')} is ${JSON.stringify(value)}`, (dir) => edit(dir, path, value), isFile);
    }),
    ...Array.from({ length: 15 }, () =>
      bundle(
        'a manifest that is cut',
        (dir) => {
          const text = readFileSync(join(dir, 'manifest.json'));
          writeFileSync(join(dir, 'manifest.json'), text.subarray(0, below(text.length - 2, random)));
        },
        true,
      ),
    ),
    ...['../guage-base-0.bin', '/etc/./././././host', 'language-copy-0.bin'].map((elsewhere) =>
      bundle(
        `weights in ${elsewhere}`,
        (dir) => {
          copyFileSync(join(dir, WEIGHTS), join(dir, 'language-copy-0.bin'));
          replaceInGraph(dir, WEIGHTS, elsewhere);
        },
        true,
      ),
    ),
    ...files.flatMap((file) => [
      bundle(
        `${file} with damage`,
        (dir) => {
          const bytes = readFileSync(join(dir, file));
          const spoilt = damaged(bytes, random);
          spoilt[0] = ~(bytes[0] ?? 0);
          writeFileSync(join(dir, file), spoilt);
        },
        true,
      ),
      bundle(`without ${file}`, (dir) => rmSync(join(dir, file)), true),
    ]),
  ];
}
