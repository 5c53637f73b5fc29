import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encodeMask } from '@segue/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HEIGHT, photo, useGateway, WIDTH } from '../gateway.fixture.js';

const fixture = useGateway();
const CONFIG = (kind: string) => `<View>
  <!-- <Image name="old" value="$old"/> -->
  <Image name="picture" value="$image" zoom="true"/>
  <${kind} name="tag" toName="picture"><Label value="cup"/><Label value="spoon &amp; fork" background="#f00"/></${kind}>
</View>`;

async function post(url: string, body: unknown) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const dataUrl = async () => `data:image/png;base64,${(await photo()).toString('base64')}`;

/** Masks of 100 x 50 pixels: a crumb, a smaller part and a larger one. */
function answerInParts(): void {
  const inside = (x: number, y: number): boolean =>
    (x >= 5 && x < 8 && y < 3) || (x >= 5 && x < 11 && y >= 10 && y < 16) || (x >= 20 && x < 60 && y >= 10);
  const pixels = Uint8Array.from({ length: 5_000 }, (_, at) => (inside(at % 100, Math.floor(at / 100)) ? 1 : 0));
  const { decode } = fixture.stages;
  fixture.stages.decode = async (context) => ({ ...(await decode(context)), mask: encodeMask(pixels, 50, 100) });
}

describe('Label Studio', () => {
  const base = () => `${fixture.gateway.url}/label-studio`;

  it('finds the backend up, and its model', async () => {
    expect(await (await fetch(`${base()}/health`)).json()).toMatchObject({ status: 'UP' });
    const { body } = await post(`${base()}/setup`, { project: '1', schema: '' });
    expect(body.model_version).toMatch(/^tiny-random@/);
    expect((await post(`${base()}/webhook`, { action: 'PROJECT_UPDATED' })).status).toBe(200);
  });

  it('gets a mask for each label, and asks what somebody typed', async () => {
    const asked: string[] = [];
    const { generate } = fixture.stages;
    fixture.stages.generate = (context) => {
      asked.push(context.request.instruction);
      return generate(context);
    };
    const tasks = [{ id: 1, data: { image: await dataUrl() } }];
    const { body } = await post(`${base()}/predict`, { tasks, label_config: CONFIG('BrushLabels'), project: '1.2' });
    expect(asked).toEqual(['Segment the cup.', 'Segment the spoon & fork.']);
    expect(body.results).toMatchObject([
      {
        score: 0.5,
        result: [
          {
            from_name: 'tag',
            to_name: 'picture',
            type: 'brushlabels',
            original_width: WIDTH,
            original_height: HEIGHT,
            value: { format: 'rle', brushlabels: ['cup'] },
          },
          { value: { brushlabels: ['spoon & fork'] } },
        ],
      },
    ]);
    const result = [
      { type: 'keypointlabels', value: { keypointlabels: ['spoon & fork'], x: 1, y: 1 } },
      { type: 'textarea', value: { text: ['the bright spoon'] } },
    ];
    const context = { context: { result } };
    await post(`${base()}/predict`, { tasks, label_config: CONFIG('BrushLabels'), params: context });
    expect(asked.slice(2)).toEqual(['the bright spoon']);
  });

  it('gets polygons in percent', async () => {
    const tasks = [{ id: 1, data: { image: await dataUrl() } }];
    const { body } = await post(`${base()}/predict`, { tasks, label_config: CONFIG('PolygonLabels') });
    const [{ result } = { result: [] }] = body.results as { result: { value: { points: number[][] } }[] }[];
    expect(result[0]?.value).toMatchObject({ closed: true, polygonlabels: ['cup'] });
    expect(result[0]?.value.points.toSorted()).toEqual(
      [
        [100, 0],
        [100, 100],
        [50, 0],
        [50, 100],
      ].toSorted(),
    );
  });

  it('gets a polygon for each part of a thing, the largest first, and none for crumbs', async () => {
    answerInParts();
    const tasks = [{ id: 1, data: { image: await dataUrl() } }];
    const { body } = await post(`${base()}/predict`, { tasks, label_config: CONFIG('PolygonLabels') });
    const [{ result } = { result: [] }] = body.results as { result: { value: { points: number[][] } }[] }[];
    const corners = result.map(({ value }) => value.points[0]);
    expect(corners.slice(0, 2)).toEqual([
      [20, 20],
      [5, 20],
    ]);
    expect(corners).toHaveLength(4); // of two labels
  });

  describe('pictures of tasks', () => {
    let labelStudio: Server;
    let origin: string;
    let seen: (string | undefined)[];
    beforeEach(async () => {
      seen = [];
      labelStudio = createServer((request, response) => {
        seen.push(request.headers.authorization);
        if (request.url === '/api/token/refresh') response.end(JSON.stringify({ access: 'for-minutes' }));
        else if (request.url === '/gone.png') response.writeHead(404).end();
        else if (request.url === '/moved') response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end();
        else void photo().then((bytes) => response.end(bytes));
      }).listen(0, '127.0.0.1');
      await once(labelStudio, 'listening');
      origin = `http://127.0.0.1:${(labelStudio.address() as AddressInfo).port}`;
    });
    afterEach(() => {
      labelStudio.closeAllConnections();
      labelStudio.close();
    });

    it('are fetched from the Label Studio that the operator named, and from nowhere else', async () => {
      const gateway = await fixture.startAnother({ SEGUE_LABEL_STUDIO_URL: origin, SEGUE_LABEL_STUDIO_TOKEN: 'abc' });
      const predict = (image: string) =>
        post(`${gateway.url}/label-studio/predict`, {
          tasks: [{ data: { image } }],
          label_config: CONFIG('BrushLabels'),
        });
      expect((await predict('/data/upload/1/cup.png')).status).toBe(200);
      expect((await predict(`${origin}/data/upload/1/cup.png`)).status).toBe(200);
      expect(seen).toEqual(['Token abc', 'Token abc']);
      for (const image of ['http://127.0.0.1:9/a.png', 's3://bucket/a.png', '//169.254.169.254/a', '/moved', '']) {
        expect((await predict(image)).status, image).toBeGreaterThanOrEqual(400);
      }
    });

    it('are fetched with a token of minutes where the operator has a personal one, and say what keeps them away', async () => {
      const env = { SEGUE_LABEL_STUDIO_URL: origin, SEGUE_LABEL_STUDIO_TOKEN: 'head.claims.signature' };
      const gateway = await fixture.startAnother({ ...env, SEGUE_MAX_PICTURE_BYTES: '60' });
      const predict = (image: string) =>
        post(`${gateway.url}/label-studio/predict`, {
          tasks: [{ data: { image } }],
          label_config: CONFIG('BrushLabels'),
        });
      const refused = (status: number, text: string) => ({ status, body: { detail: expect.stringContaining(text) } });
      expect(await predict('/gone.png')).toMatchObject(refused(400, 'SEGUE_LABEL_STUDIO_TOKEN'));
      expect(seen).toEqual([undefined, 'Bearer for-minutes']);
      expect(await predict('/cup.png')).toMatchObject(refused(413, 'more than 60 bytes'));
    });

    it('are not fetched unless it is named', async () => {
      const tasks = [{ data: { image: `${origin}/cup.png` } }];
      expect((await post(`${base()}/predict`, { tasks, label_config: CONFIG('BrushLabels') })).body).toMatchObject({
        detail: expect.stringContaining('SEGUE_LABEL_STUDIO_URL'),
      });
      expect(seen).toEqual([]);
    });
  });
});

describe('CVAT', () => {
  it('gets a mask for each label that is found with enough confidence', async () => {
    const image = (await photo()).toString('base64');
    const detect = (query: string, body: object) => post(`${fixture.gateway.url}/cvat${query}`, { image, ...body });
    const { body } = await detect('?labels=cup', { threshold: 0.4 });
    // The right half: three columns of four rows, and where they are.
    expect(body).toEqual([
      {
        confidence: '0.5',
        label: 'cup',
        type: 'mask',
        points: expect.any(Array),
        mask: [...new Array<number>(12).fill(1), 3, 0, 5, 3],
      },
    ]);
    expect((await detect('', { labels: ['cup'], threshold: 0.6 })).body).toEqual([]);
    expect((await detect('', {})).status).toBe(400);
  });

  it('gets the outline of the largest part', async () => {
    answerInParts();
    const image = (await photo()).toString('base64');
    const { body } = await post(`${fixture.gateway.url}/cvat`, { image, labels: ['cup'] });
    expect(body).toMatchObject([{ points: [20, 10, 60, 10, 60, 50, 20, 50] }]);
  });
});
