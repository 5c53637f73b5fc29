// Makes a fresh clone runnable (packages, build), then runs one of the workspace's commands. No dependencies: it runs
// before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Each command and the program that it runs once everything is built. */
const COMMANDS = {
  start: ['tools/dist/start.js'],
  ask: ['libs/cli/bin/segue.js', 'ask'],
  test: ['tools/dist/test.js'],
  bench: ['bench/dist/main.js'],
  rehearse: ['tools/dist/rehearse.js'],
  chaos: ['proofs/dist/chaos/main.js'],
  hostile: ['proofs/dist/hostile/main.js'],
  independence: ['proofs/dist/independence/main.js'],
  overload: ['proofs/dist/overload/main.js'],
  keys: ['apps/gateway/dist/keys.js'],
  'dead-letters': ['tools/dist/dead-letters.js'],
  'images:test': ['node_modules/vitest/vitest.mjs', 'run', '--root', 'e2e/cluster', 'images.spec.ts'],
  'test:cluster': ['e2e/cluster/cluster-test.sh'],
};
const OLDEST_NODE = [20, 19];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [command, ...args] = process.argv.slice(2);

if (!Object.hasOwn(COMMANDS, command)) fail(`Say which command to run: ${Object.keys(COMMANDS).join(', ')}.`);
checkNode();
installPackages();
build();
run();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  fail(`Segue needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}. Install a newer Node.`);
}

function installPackages() {
  const installed = join(root, 'node_modules/.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  step('Installing packages (npm ci)');
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
  if (!succeeds([...npm, 'ci', '--no-audit', '--no-fund', '--loglevel=error'])) {
    fail('The packages could not be installed: see above. Check the connection to the npm registry and try again.');
  }
}

function build() {
  step('Building');
  const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '--build'];
  const page = [join(root, 'node_modules/vite/bin/vite.js'), 'build', join(root, 'libs/page'), '--logLevel=warn'];
  if (![tsc, page].every((program) => succeeds([process.execPath, ...program]))) {
    fail('The build failed: see the errors above.');
  }
}

/** The command gets the signals; this process waits for it and ends with its status. */
function run() {
  const [program, ...words] = COMMANDS[command];
  // npm changes to the repository's root; names of files are meant from where the person stands.
  const cwd = command === 'ask' ? (process.env.INIT_CWD ?? process.cwd()) : root;
  const env = { ...runningService(), ...process.env };
  const node = program.endsWith('.sh') ? [] : [process.execPath, '--enable-source-maps'];
  const [file, ...argv] = [...node, join(root, program), ...words, ...args];
  const child = spawn(file, argv, { stdio: 'inherit', cwd, env });
  process.on('SIGINT', () => undefined); // a terminal sends it to the command as well
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (status, signal) => process.exit(status ?? (signal === 'SIGINT' ? 130 : 1)));
}

/** Where the service is that `npm start` runs. */
function runningService() {
  const address = join(root, '.segue/address');
  return existsSync(address) ? { SEGUE_URL: readFileSync(address, 'utf8') } : {};
}

function succeeds([program, ...rest]) {
  return spawnSync(program, rest, { cwd: root, stdio: 'inherit' }).status === 0;
}

function step(text) {
  console.log(`▸ ${text}`);
}

function fail(sentence) {
  console.error(sentence);
  if (command === 'test') console.log('0 passed, 1 failed, 0 skipped');
  process.exit(1);
}
