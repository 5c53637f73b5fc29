/** A failure whose message is meant for the person at the page. */
export class Problem extends Error {}

/**
 * Asks the service and yields the job's events as they arrive.
 * @param {{ image: Blob } | { imageId: string }} picture
 * @param {{ instruction: string, answer: string }[]} history earlier turns about this picture, oldest first
 */
export async function* ask(picture, instruction, history, signal) {
  const request = { method: 'POST', headers: { accept: 'text/event-stream' }, signal };
  if ('image' in picture) {
    request.body = new FormData();
    request.body.set('instruction', instruction);
    request.body.set('image', picture.image, 'picture');
  } else {
    request.headers['content-type'] = 'application/json';
    request.body = JSON.stringify({ image_id: picture.imageId, instruction, history });
  }
  const response = await fetch('/v1/segment', request).catch((error) => {
    if (signal.aborted) throw error;
    throw new Problem('The service cannot be reached. Check that it runs, then ask again.');
  });
  if (!response.ok) throw await problemOf(response);
  for await (const data of serverSentEvents(response.body)) yield JSON.parse(data);
}

/** What the service says about a failed request (application/problem+json). */
async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(body.detail ?? `The service answered ${response.status}. Try again in a moment.`);
}

/** The data of each event in a text/event-stream. */
async function* serverSentEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''));
      if (data.length > 0) yield data.join('\n');
    }
  }
}
