import { EXAMPLES, type Example } from '../examples.js';
import type { Album } from '../state/album.js';

/** Photos that come with the page; each is asked its question at once. */
export function Examples({ album }: { album: Album }) {
  const open = async ({ photo, question }: Example): Promise<void> => {
    const response = await fetch(photo).catch(() => undefined);
    if (!response?.ok) return album.complain('This example cannot be loaded. Choose a picture of your own.');
    const name = photo.slice(photo.lastIndexOf('/') + 1);
    if (await album.open([new File([await response.blob()], name)])) await album.ask(question);
  };
  return (
    <div class="examples" role="group" aria-label="Examples">
      {EXAMPLES.map((example) => (
        <button type="button" key={example.question} data-photo={example.photo} onClick={() => void open(example)}>
          <img src={example.photo} alt={example.alt} />
          <span>{example.question}</span>
        </button>
      ))}
    </div>
  );
}
