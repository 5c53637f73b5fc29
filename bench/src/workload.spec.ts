import { decodePicture, DEFAULT_PICTURE_LIMITS, inspectPicture } from '@segue/imaging';
import { describe, expect, it } from 'vitest';
import { markedFor, Workload } from './workload.js';

describe('the workload', () => {
  it('never gives a new picture twice, and the same ones in every run', async () => {
    const workload = new Workload();
    const asked = [
      ...(await workload.questions(9, 'one target', 'new')),
      ...(await workload.questions(9, 'explained', 'new')),
    ];
    const pictures = asked.map(({ picture }) => Buffer.from(picture).toString('base64'));
    expect(new Set(pictures).size).toBe(18);
    const [again] = await new Workload().questions(1, 'one target', 'new');
    expect(again).toEqual(asked[0]);
  });

  it('repeats a few pictures with changing questions', async () => {
    const asked = await new Workload().questions(18, 'one target', 'repeated');
    expect(new Set(asked.map(({ picture }) => Buffer.from(picture).toString('base64'))).size).toBe(6);
    expect(new Set(asked.map(({ instruction }) => instruction)).size).toBeGreaterThan(6);
  });

  it('marks a picture for a contestant without touching its pixels', async () => {
    const [question] = await new Workload().questions(1, 'one target', 'new');
    const [marked] = markedFor('Segue HTTP', question ? [question] : []);
    const [before, after] = [question?.picture ?? new Uint8Array(), marked?.picture ?? new Uint8Array()];
    expect(after.byteLength).toBe(before.byteLength + 4 + 'Segue HTTP'.length);
    const pixels = async (jpeg: Uint8Array) => Buffer.from((await decodePicture(jpeg, DEFAULT_PICTURE_LIMITS)).data);
    expect((await pixels(after)).equals(await pixels(before))).toBe(true);
    expect((await inspectPicture(after, DEFAULT_PICTURE_LIMITS)).format).toBe('jpeg');
  });
});
