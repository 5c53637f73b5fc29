import type { Profiler } from 'node:inspector';

/** What a stack of calls took, by whom it was called. */
export interface Frame {
  readonly name: string;
  /** Microseconds, of this frame and all that it called. */
  total: number;
  readonly called: Map<string, Frame>;
}

const WIDTH = 1200;
const ROW = 17;
const MARGIN = 10;
/** Pixels below which a frame is left out. */
const LEAST = 0.6;
const PIXELS_A_LETTER = 6.6;
/** Time in which nothing ran. */
const IDLE = '(idle)';

/**
 * The samples of a V8 CPU profile as one tree. Calls of one function by the same callers are one frame; idle time is left out.
 * @param from `to`: part of the profile that counts, microseconds of the monotonic clock
 * @see https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile
 */
export function framesOf(profile: Profiler.Profile, from = -Infinity, to = Infinity): Frame {
  const stacks = stacksOf(profile);
  const root: Frame = { name: 'all', total: 0, called: new Map() };
  let at = profile.startTime;
  profile.samples?.forEach((sample, index) => {
    const took = profile.timeDeltas?.[index + 1] ?? 0;
    at += profile.timeDeltas?.[index] ?? 0;
    const stack = stacks.get(sample) ?? [];
    if (at < from || at > to || took <= 0 || stack.at(-1) === IDLE) return;
    let frame = root;
    frame.total += took;
    for (const name of stack) {
      const next: Frame = frame.called.get(name) ?? { name, total: 0, called: new Map() };
      frame.called.set(name, next);
      next.total += took;
      frame = next;
    }
  });
  return root;
}

/** An SVG image: callers below, what they called above, as wide as it took long. Names, milliseconds and shares show at the mouse. */
export function drawFlameGraph(root: Frame, title: string, questions: number): string {
  const depth = depthOf(root);
  const height = (depth + 2) * ROW + 2 * MARGIN;
  const scale = (WIDTH - 2 * MARGIN) / Math.max(1, root.total);
  const parts: string[] = [];
  const draw = (frame: Frame, left: number, level: number): void => {
    const width = frame.total * scale;
    if (width < LEAST) return;
    const top = height - MARGIN - (level + 1) * ROW;
    const took = `${(frame.total / 1000 / questions).toFixed(2)} ms, ${((100 * frame.total) / root.total).toFixed(1)} %`;
    const letters = Math.floor((width - 4) / PIXELS_A_LETTER);
    const label = letters < 3 ? '' : frame.name.length > letters ? `${frame.name.slice(0, letters - 1)}…` : frame.name;
    parts.push(
      `<g><title>${escaped(frame.name)}: ${took}</title>` +
        `<rect x="${left.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colourOf(frame.name)}"/>` +
        `<text x="${(left + 2).toFixed(1)}" y="${top + 12}">${escaped(label)}</text></g>`,
    );
    let next = left;
    for (const called of [...frame.called.values()].sort((one, other) => other.total - one.total)) {
      draw(called, next, level + 1);
      next += called.total * scale;
    }
  };
  draw(root, MARGIN, 0);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="11">` +
    `<rect width="100%" height="100%" fill="#fff"/><text x="${MARGIN}" y="${MARGIN + 8}" font-size="13">${escaped(title)}</text>` +
    `${parts.join('\n')}</svg>\n`
  );
}

/** By sample: names from the outermost caller to what ran. */
function stacksOf({ nodes }: Profiler.Profile): ReadonlyMap<number, readonly string[]> {
  const stacks = new Map<number, readonly string[]>();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  for (const { id } of nodes) {
    const stack: string[] = [];
    for (let at: number | undefined = id; at !== undefined && callers.has(at); at = callers.get(at)) {
      const node = byId.get(at);
      if (node) stack.unshift(nameOf(node.callFrame));
    }
    stacks.set(id, stack);
  }
  return stacks;
}

/** The function, and the file or the package it is from. */
function nameOf({ functionName, url, lineNumber }: Profiler.ProfileNode['callFrame']): string {
  const name = functionName || '(anonymous)';
  const inside = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (inside !== undefined) return `${name} ${inside}`;
  const own = /\/((?:apps|libs)\/[^/]+\/).*\/([^/]+)$/.exec(url);
  if (own) return `${name} ${own[1]}${own[2]}:${lineNumber + 1}`;
  return url === '' ? name : `${name} ${url}`;
}

/** Ours, packages, Node.js, and V8's own. */
function colourOf(name: string): string {
  if (/ (apps|libs)\//.test(name)) return '#f4a259';
  if (/ node:/.test(name)) return '#a8d5ba';
  if (name.startsWith('(')) return '#d0d0d0';
  return name.includes(' ') ? '#9cc3e6' : '#e6d5a8';
}

function depthOf({ called }: Frame): number {
  return 1 + Math.max(0, ...[...called.values()].map(depthOf));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
