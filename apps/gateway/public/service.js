/** A failure whose message is meant for the person at the page. */
export class Problem extends Error {}

/**
 * Asks the service and yields the job's events as they arrive. A picture that the service has stored is named by its id,
 * and sent again by itself when it is not kept any more.
 * @param {{ blob: Blob, imageId?: string }} picture
 * @param {{ instruction: string, answer: string }[]} history earlier turns about this picture, oldest first
 */
export async function* ask({ blob, imageId }, instruction, history, signal) {
  let response = imageId && (await post(JSON.stringify({ image_id: imageId, instruction, history }), signal));
  if (!response || response.status === 404)
    response = await post(formOf({ image: blob, instruction, history }), signal);
  if (!response.ok) throw await problemOf(response);
  for await (const data of serverSentEvents(response.body)) yield JSON.parse(data);
}

function formOf({ image, instruction, history }) {
  const form = new FormData();
  form.set('image', image, 'picture');
  form.set('instruction', instruction);
  form.set('history', JSON.stringify(history));
  return form;
}

/** @param {string | FormData} body JSON, or a form */
async function post(body, signal) {
  const headers = {
    accept: 'text/event-stream',
    ...(typeof body === 'string' && { 'content-type': 'application/json' }),
  };
  try {
    return await fetch('/v1/segment', { method: 'POST', headers, body, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem('The service cannot be reached. Check that it runs, then ask again.');
  }
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
