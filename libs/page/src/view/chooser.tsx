import type { Album } from '../state/album.js';
import { PICTURE_TYPES } from '../state/picture.js';

/** Picks one or more pictures; where there is a camera in the hand, takes one. */
export function Chooser({ album }: { album: Album }) {
  const take = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const files = [...(input.files ?? [])];
    input.value = '';
    if (files.length > 0) void album.open(files);
  };
  const filled = album.current.value !== undefined;
  return (
    <div class="chooser">
      <label class="choose">
        <strong>{filled ? 'Another picture' : 'Choose a picture'}</strong>
        {!filled && <span>or drop or paste one here, or several · JPEG, PNG or WebP</span>}
        <input id="file" class="unseen" type="file" accept={PICTURE_TYPES.join()} multiple onChange={take} />
      </label>
      <label class="choose camera">
        <strong>{filled ? 'Photo' : 'Take a photo'}</strong>
        <input id="camera" class="unseen" type="file" accept="image/*" capture="environment" onChange={take} />
      </label>
    </div>
  );
}
