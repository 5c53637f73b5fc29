import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './workspace.js';

/** Licences (SPDX) under which a package may be used beside Apache-2.0 code, as a library of its own. */
const ALLOWED = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC-BY-4.0', // data: what browsers can do
  'CC0-1.0',
  'ISC',
  'LGPL-3.0-or-later', // libvips, which is linked as a file of its own; see NOTICE
  'MIT',
  'MPL-2.0', // files of axe-core and lightningcss, unchanged and not shipped
  'Python-2.0',
]);

interface Locked {
  readonly license?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
}

/** `A OR B` allows one of them; `A AND B` asks for both. */
function isAllowed(licence: string): boolean {
  const ways = licence.replaceAll(/[()]/g, '').split(' OR ');
  return ways.some((way) => way.split(' AND ').every((name) => ALLOWED.has(name)));
}

describe('the licences of packages', () => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const packages = Object.entries(lock.packages).filter(([path, { link }]) => path.includes('node_modules/') && !link);

  it('are all among those that are allowed', () => {
    const others = packages.filter(([, { license }]) => license === undefined || !isAllowed(license));
    expect(others.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
    expect(packages.length).toBeGreaterThan(500);
  });

  it('are of files only where nothing of a package is shipped', () => {
    const shipped = packages.filter(([, { dev, license = '' }]) => !dev && /MPL|CC-BY/.test(license));
    expect(shipped.map(([path]) => path)).toEqual([]);
  });

  it.each([
    ['GPL-3.0-only', false],
    ['(MIT OR GPL-3.0-only)', true],
    ['Apache-2.0 AND GPL-3.0-only', false],
    ['SEE LICENSE IN LICENSE', false],
  ])('tells %s: %s', (licence, allowed) => expect(isAllowed(licence)).toBe(allowed));
});
