// Loaded into the workers of a rehearsal before their own code: what no honest request can do, by the words of its
// instruction, when the language model reads them. The crash is one of native code; the hang is a run that never ends.
import { Worker } from 'node:worker_threads';

const [CRASH, HANG] = ['crash the worker', 'hang the worker'];
let hangNext = false;

// Control tokens are looked for in an instruction as it is tokenised, and nowhere before.
const { includes } = String.prototype;
String.prototype.includes = function (...args) {
  if (String(this) === CRASH) process.kill(process.pid, 'SIGKILL');
  if (String(this) === HANG) hangNext = true;
  return includes.apply(this, args);
};

const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  if (hangNext && message?.type === 'run') return;
  post.call(this, message, ...rest);
};
