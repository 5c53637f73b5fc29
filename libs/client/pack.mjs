// Makes the package that others install: one file for Node and browsers with its types, without dependencies.
//   npm run pack -w @segue/client
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, 'dist/package');

await build({
  cwd: here,
  config: false,
  entry: 'src/index.ts',
  outDir: folder,
  format: ['esm', 'cjs'],
  platform: 'neutral',
  target: 'es2022',
  dts: { sourcemap: false },
  deps: { alwaysBundle: [/^[^.]/], neverBundle: [/^node:/] },
  inputOptions: { resolve: { conditionNames: ['@segue/source', 'import', 'default'] } },
  logLevel: 'warn',
});

const { name, version, description, license, type, sideEffects } = JSON.parse(
  readFileSync(join(here, 'package.json'), 'utf8'),
);
const manifest = {
  name,
  version,
  description,
  license,
  type,
  sideEffects,
  engines: { node: '>=20.19' },
  exports: {
    '.': {
      import: { types: './index.d.ts', default: './index.js' },
      require: { types: './index.d.cts', default: './index.cjs' },
    },
    './package.json': './package.json',
  },
  main: './index.cjs',
  types: './index.d.cts',
};
writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, undefined, 2));
copyFileSync(join(here, 'README.md'), join(folder, 'README.md'));
copyFileSync(join(here, '../../LICENSE'), join(folder, 'LICENSE'));
const parser = dirname(createRequire(import.meta.url).resolve('eventsource-parser/package.json'));
copyFileSync(join(parser, 'LICENSE'), join(folder, 'LICENSE-eventsource-parser'));

const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', join(here, 'dist')], { cwd: folder });
console.log(join(here, 'dist', JSON.parse(packed)[0].filename));
