import type { RefObject } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Conversation } from '../state/conversation.js';
import type { Viewport } from '../state/viewport.js';

/** A pointer that moves less than this, in CSS pixels, clicks. */
const CLICK_DISTANCE = 5;
const KEY_STEP = 0.1;

interface Point {
  readonly x: number;
  readonly y: number;
}

/** What pointer, wheel and keys do on the picture: point at masks, choose them, zoom and move. */
export function useGestures(figure: RefObject<HTMLElement | null>, viewport: Viewport, conversation: Conversation) {
  return useMemo(() => gestures(figure, viewport, conversation), [figure, viewport, conversation]);
}

function gestures(figure: RefObject<HTMLElement | null>, viewport: Viewport, conversation: Conversation) {
  const down = new Map<number, Point>();
  let moved = 0;

  /** Place on the picture, and the size at which the whole of it is shown. */
  const place = ({ x, y }: Point): { readonly on: Point; readonly fit: Point; readonly size: Point } => {
    const box = figure.current?.getBoundingClientRect() ?? new DOMRect(0, 0, 1, 1);
    const { scale, x: left, y: top } = viewport.view.value;
    const on = { x: (x - box.left) / box.width, y: (y - box.top) / box.height };
    const size = { x: box.width / scale, y: box.height / scale };
    return { on, size, fit: { x: on.x * scale + left, y: on.y * scale + top } };
  };
  const pointAt = (point: Point | undefined): void => {
    const on = point && place(point).on;
    conversation.pointed.value = on && conversation.markAt(on.x, on.y);
  };
  const distance = (): number => {
    const [a, b] = [...down.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  };

  return {
    onWheel(event: WheelEvent) {
      event.preventDefault();
      viewport.zoom(Math.exp(-event.deltaY * 0.002), place(event).fit);
    },
    onPointerDown(event: PointerEvent & { readonly currentTarget: HTMLElement }) {
      if (event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      if (down.size === 0) moved = 0;
      down.set(event.pointerId, { x: event.x, y: event.y });
    },
    onPointerMove(event: PointerEvent) {
      const before = down.get(event.pointerId);
      if (!before) return pointAt(event);
      const spread = distance();
      down.set(event.pointerId, { x: event.x, y: event.y });
      const { size } = place(event);
      const [dx, dy] = [event.x - before.x, event.y - before.y];
      moved += Math.hypot(dx, dy);
      // Each of two fingers moves the middle by half of its own way.
      viewport.pan(dx / size.x / down.size, dy / size.y / down.size);
      if (spread > 0) {
        const fingers = [...down.values()];
        const middle = (axis: 'x' | 'y'): number => fingers.reduce((sum, finger) => sum + finger[axis], 0) / down.size;
        viewport.zoom(distance() / spread, place({ x: middle('x'), y: middle('y') }).fit);
      }
    },
    onPointerUp(event: PointerEvent) {
      if (!down.delete(event.pointerId) || moved >= CLICK_DISTANCE) return;
      const { on } = place(event);
      conversation.choose(conversation.markAt(on.x, on.y));
    },
    onPointerCancel(event: PointerEvent) {
      down.delete(event.pointerId);
    },
    onPointerLeave() {
      pointAt(undefined);
    },
    onKeyDown(event: KeyboardEvent) {
      const actions: Record<string, () => void> = {
        '+': () => viewport.zoom(1.5),
        '=': () => viewport.zoom(1.5),
        '-': () => viewport.zoom(1 / 1.5),
        '0': () => viewport.reset(),
        ArrowLeft: () => viewport.pan(KEY_STEP, 0),
        ArrowRight: () => viewport.pan(-KEY_STEP, 0),
        ArrowUp: () => viewport.pan(0, KEY_STEP),
        ArrowDown: () => viewport.pan(0, -KEY_STEP),
      };
      const action = actions[event.key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      action();
    },
  };
}
