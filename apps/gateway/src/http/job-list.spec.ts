import { expect, it } from 'vitest';
import { collect, photo, useGateway } from '../gateway.fixture.js';
import { SCHEMAS } from './schemas.js';

const fixture = useGateway();

it('lists jobs page by page, without their answers', async () => {
  const { client, url } = await fixture.startAnother({ SEGUE_LIST_PUBLIC_JOBS: 'on' });
  const made: string[] = [];
  for (const instruction of ['the cup', 'the spoon', 'the plate']) {
    const { jobId } = await client.jobs.submit({ image: await photo(), instruction });
    await client.jobs.wait(jobId);
    made.unshift(jobId);
  }
  const get = async (query: string) => (await fetch(`${url}/v1/jobs${query}`)).json();
  const first = SCHEMAS.Jobs.parse(await get('?limit=2'));
  expect(first.jobs.map(({ job_id }) => job_id)).toEqual(made.slice(0, 2));
  expect(first.jobs[0]).not.toHaveProperty('answer');
  const second = SCHEMAS.Jobs.parse(await get(`?limit=2&page_token=${first.next_page_token}`));
  expect(second.jobs.map(({ job_id }) => job_id)).toEqual(made.slice(2));
  expect(second.next_page_token).toBeUndefined();
  expect(SCHEMAS.Jobs.parse(await get('?state=failed')).jobs).toEqual([]);
  expect((await collect(client.jobs.list())).map(({ instruction }) => instruction)).toEqual([
    'the plate',
    'the spoon',
    'the cup',
  ]);
  expect(await get('?limit=0&colour=red')).toMatchObject({
    code: 'INVALID_ARGUMENT',
    detail: expect.stringMatching(/"limit".*"colour"/),
  });
});

it('lists nothing to strangers unless the operator allows it', async () => {
  await expect(collect(fixture.gateway.client.jobs.list())).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});
