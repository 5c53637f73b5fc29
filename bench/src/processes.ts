import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Program } from '@segue/local-system';

/** Linux counts CPU time in hundredths of a second (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100;

/** A process and everything it started. */
export interface ProcessTree {
  readonly name: string;
  readonly pid: number | undefined;
}

/** What processes used since they began, by their names. */
export interface Usage {
  readonly cpuSeconds: ReadonlyMap<string, number>;
  /** Bytes sent, by `from > to`; of TCP connections that are open. */
  readonly sentBytes: ReadonlyMap<string, number>;
}

/** Ends a program and everything it started. */
export async function stopTree(program: Program): Promise<void> {
  const started = pidsOf(program);
  await program.stop().catch(() => undefined); // it is killed when it is late, and so is what it started
  for (const pid of started) kill(pid);
}

/** What the trees have used. Read twice, the difference is what was used in between. */
export function usageOf(trees: readonly ProcessTree[]): Usage {
  const named = new Map(trees.flatMap((tree) => pidsOf(tree).map((pid) => [pid, nameOf(pid, tree)] as const)));
  const cpuSeconds = new Map<string, number>();
  for (const [pid, name] of named) cpuSeconds.set(name, (cpuSeconds.get(name) ?? 0) + cpuSecondsOf(pid));
  return { cpuSeconds, sentBytes: sentBytes(named) };
}

/** MiB of memory by process: private pages, and the share of those that several processes map (PSS). */
export function memoryOf(trees: readonly ProcessTree[]): ReadonlyMap<string, number> {
  const memory = new Map<string, number>();
  for (const tree of trees) {
    for (const pid of pidsOf(tree)) {
      const kib = Number(/^Pss:\s+(\d+)/m.exec(readProc(pid, 'smaps_rollup'))?.[1] ?? 0);
      const name = nameOf(pid, tree);
      memory.set(name, (memory.get(name) ?? 0) + kib / 1024);
    }
  }
  return memory;
}

function pidsOf({ pid }: ProcessTree): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = Number(statOf(Number(entry))[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found = pid === undefined ? [] : [pid];
  for (const one of found) found.push(...(children.get(one) ?? []));
  return found.filter((one) => statOf(one).length > 0);
}

/** Ray names its processes itself; all others go by the name of their tree. */
function nameOf(pid: number, tree: ProcessTree): string {
  const [program = ''] = readProc(pid, 'cmdline').split('\0');
  if (program.startsWith('ray::')) return program.replace(/^ray::(ServeReplica:default:)?/, 'ray ');
  return program.includes('/ray/core/') ? `ray ${program.split('/').at(-1)}` : tree.name;
}

function cpuSecondsOf(pid: number): number {
  const stat = statOf(pid);
  return (Number(stat[11] ?? 0) + Number(stat[12] ?? 0)) / TICKS_PER_SECOND;
}

/** The fields of /proc/PID/stat from the state on; none when there is no such process. See proc(5). */
function statOf(pid: number): string[] {
  const stat = Number.isInteger(pid) ? readProc(pid, 'stat') : '';
  return stat === '' ? [] : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Bytes that the kernel has sent on each open TCP connection, from iproute2's `ss`; empty where that is missing. */
function sentBytes(named: ReadonlyMap<number, string>): ReadonlyMap<string, number> {
  const sockets = listSockets();
  const owners = new Map(sockets.map(({ local, pid }) => [local, named.get(pid) ?? 'client']));
  const sent = new Map<string, number>();
  for (const { local, peer, bytes } of sockets) {
    const [from, to] = [owners.get(local), owners.get(peer)];
    if (from === undefined || to === undefined || (from === 'client' && to === 'client')) continue;
    sent.set(`${from} > ${to}`, (sent.get(`${from} > ${to}`) ?? 0) + bytes);
  }
  return sent;
}

interface Socket {
  readonly local: string;
  readonly peer: string;
  readonly pid: number;
  readonly bytes: number;
}

function listSockets(): Socket[] {
  let lines: string[];
  try {
    lines = execFileSync('ss', ['-tinpOH'], { encoding: 'utf8', maxBuffer: 2 ** 26 }).split('\n');
  } catch {
    return [];
  }
  return lines.flatMap((line) => {
    const [, , , local = '', peer = ''] = line.split(/\s+/);
    const pid = Number(/pid=(\d+)/.exec(line)?.[1] ?? 0);
    const bytes = Number(/bytes_sent:(\d+)/.exec(line)?.[1] ?? 0);
    const plain = (address: string) => address.replace('[::ffff:', '').replace(']', '');
    return pid === 0 ? [] : [{ local: plain(local), peer: plain(peer), pid, bytes }];
  });
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}
