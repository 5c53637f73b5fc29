import { useSignal } from '@preact/signals';
import { useMemo, useRef } from 'preact/hooks';
import type { Album } from '../state/album.js';
import { same, type Conversation } from '../state/conversation.js';
import { Viewport } from '../state/viewport.js';
import { Chooser } from './chooser.js';
import { MaskCanvas } from './mask-canvas.js';
import { useGestures } from './gestures.js';

/** The picture with the masks over it, to be enlarged, moved, pointed at and clicked. */
export function Stage({ album }: { album: Album }) {
  const conversation = album.current.value;
  return (
    <div id="drop" class={conversation ? 'filled' : ''}>
      {conversation ? (
        <Scene album={album} conversation={conversation} key={conversation.key} />
      ) : (
        <Chooser album={album} />
      )}
    </div>
  );
}

function Scene({ album, conversation }: { album: Album; conversation: Conversation }) {
  const viewport = useMemo(() => new Viewport(), []);
  const opacity = useSignal(100);
  const figure = useRef<HTMLElement>(null);
  const { picture } = conversation;
  const gestures = useGestures(figure, viewport, conversation);
  const { scale, x, y } = viewport.view.value;
  const lit = conversation.lit.value;
  const masks = conversation.turns.value
    .filter((turn) => turn.visible.value)
    .flatMap((turn) => turn.segments.value.map((segment) => ({ turn, segment })));
  return (
    <>
      <div
        class="scene"
        role="group"
        tabIndex={0}
        aria-label="Picture with masks. Plus and minus zoom, the arrow keys move it, 0 shows the whole."
        {...gestures}
      >
        <figure
          id="picture"
          ref={figure}
          class={lit ? 'marked' : ''}
          style={{
            '--ratio': String(picture.width / picture.height),
            '--opacity': `${opacity.value}%`,
            transform: `translate(${100 * x}%, ${100 * y}%) scale(${scale})`,
          }}
        >
          <img id="photo" src={picture.url} alt="The picture you ask about" draggable={false} />
          {masks.map(
            ({ turn, segment }) =>
              segment.painted && (
                <MaskCanvas
                  key={`${turn.key}-${segment.index}`}
                  bitmap={segment.painted.bitmap}
                  index={segment.index}
                  lit={same(lit, { turn, index: segment.index })}
                />
              ),
          )}
        </figure>
      </div>
      <div class="tools" role="group" aria-label="View">
        <button type="button" class="fine" aria-label="Zoom out" onClick={() => viewport.zoom(1 / 1.5)}>
          −
        </button>
        <button
          type="button"
          aria-label={`${Math.round(scale * 100)} %, show the whole picture`}
          onClick={() => viewport.reset()}
        >
          {Math.round(scale * 100)} %
        </button>
        <button type="button" class="fine" aria-label="Zoom in" onClick={() => viewport.zoom(1.5)}>
          +
        </button>
        <label>
          <span class="unseen">Opacity of the masks</span>
          <input
            id="opacity"
            type="range"
            min="10"
            max="100"
            value={opacity.value}
            onInput={(event) => (opacity.value = Number(event.currentTarget.value))}
          />
        </label>
        <Chooser album={album} />
      </div>
    </>
  );
}
