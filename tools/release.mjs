// Tags the state that is checked out as a release: `npm run release`. The version is package.json's, which every part must
// have; what users notice must stand in CHANGELOG.md under it. Later contracts are compared with the tag (proto/check.sh).
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const tag = `v${version}`;
/** Where the version stands besides, by files as `git ls-files` takes them. */
const STATED = {
  '*package.json': /^  "version": "(.+)"/gm,
  '*pyproject.toml': /^version = "(.+)"/gm,
  Dockerfile: /^ARG VERSION=(.+)/gm,
  'compose.yaml': /\$\{SEGUE_VERSION:-(.+?)\}/g,
  'k8s/overlays/*.yaml': /newTag: ['"]?([^\s'"}]+)/g,
};
const notes = releaseNotes(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'));

if (git('status', '--porcelain') !== '') fail('Commit everything first.');
if (git('branch', '--show-current') !== 'main') fail('Releases are made from main.');
if (git('tag', '--list', tag) !== '') fail(`${tag} exists: raise the version in package.json.`);
const others = otherVersions();
if (others.length > 0) fail(`These do not say ${version}: ${others.join(', ')}.`);
if (!notes) fail(`CHANGELOG.md has no section "## ${version}" with a date, for instance "## ${version} (2026-12-01)".`);
git('tag', '--annotate', tag, '--cleanup=verbatim', '--message', `Segue ${version}\n\n${notes}`);
console.log(`${tag} is tagged here. To publish it: git push origin ${tag}`);

/** The section of this version, without its heading; undefined when it is missing, empty or not dated. */
function releaseNotes(changelog) {
  const [, section = ''] = changelog.split(`\n## ${version} (`);
  const [date, ...lines] = section.split('\n## ')[0].split('\n');
  return /^\d{4}-\d{2}-\d{2}\)$/.test(date) ? lines.join('\n').trim() || undefined : undefined;
}

/** Files in which another version stands. */
function otherVersions() {
  return Object.entries(STATED).flatMap(([files, pattern]) =>
    git('ls-files', files)
      .split('\n')
      .filter(
        (file) =>
          file && [...readFileSync(join(root, file), 'utf8').matchAll(pattern)].some(([, found]) => found !== version),
      ),
  );
}

function git(...args) {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) fail(stderr.trim());
  return stdout.trim();
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
