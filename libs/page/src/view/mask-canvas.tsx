import { useLayoutEffect, useRef } from 'preact/hooks';

interface Props {
  readonly bitmap: ImageBitmap;
  readonly index: number;
  readonly lit: boolean;
}

/** One painted mask over the picture; it fades in. */
export function MaskCanvas({ bitmap, index, lit }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => canvas.current?.getContext('2d')?.drawImage(bitmap, 0, 0), [bitmap]);
  return (
    <canvas
      ref={canvas}
      width={bitmap.width}
      height={bitmap.height}
      class={lit ? 'lit' : ''}
      data-index={index}
      aria-hidden="true"
    />
  );
}
