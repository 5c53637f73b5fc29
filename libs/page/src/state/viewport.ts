import { signal } from '@preact/signals';

const MAX_SCALE = 16;

/** How the picture is enlarged and moved: scale 1 shows the whole of it. x and y are in parts of its shown size. */
export interface View {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

const WHOLE: View = { scale: 1, x: 0, y: 0 };

/** Zoom and pan of the stage. Points are in parts (0..1) of the picture's size when the whole of it is shown. */
export class Viewport {
  readonly view = signal<View>(WHOLE);

  /** Enlarges by a factor; what is at the point stays there. */
  zoom(factor: number, point = { x: 0.5, y: 0.5 }): void {
    const { scale, x, y } = this.view.value;
    const next = Math.min(MAX_SCALE, Math.max(1, scale * factor));
    const ratio = next / scale;
    this.#set(next, point.x - (point.x - x) * ratio, point.y - (point.y - y) * ratio);
  }

  pan(dx: number, dy: number): void {
    const { scale, x, y } = this.view.value;
    this.#set(scale, x + dx, y + dy);
  }

  reset(): void {
    this.view.value = WHOLE;
  }

  /** Keeps the picture over the whole of its place. */
  #set(scale: number, x: number, y: number): void {
    const bounded = (offset: number): number => Math.min(0, Math.max(1 - scale, offset));
    this.view.value = { scale, x: bounded(x), y: bounded(y) };
  }
}
