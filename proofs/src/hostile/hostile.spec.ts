import { expect, it } from 'vitest';
import { faultOf } from './case.js';
import { runHostile } from './run-hostile.js';

// The short form of npm run hostile: every seventh case.
it('what nobody should send is refused well, and the service goes on', async () => {
  const { doors, processes } = await runHostile({ seed: 1, oneIn: 7 });
  expect(doors.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(doors.map(({ door }) => door)).toEqual(['http', 'grpc', 'tensors', 'redis', 'bundle']);
  for (const { name, handles } of processes) expect(handles[1] - handles[0], `handles of ${name}`).toBeLessThan(30);
});

it('tells a helpful sentence from what is none', () => {
  expect(faultOf('Send a picture: "image" holds its bytes.')).toBeUndefined();
  expect(faultOf('Bad Request')).toMatch(/no helpful/);
  expect(faultOf('TypeError: x is no function\n    at read (/srv/app/dist/main.js:3:14)')).toMatch(/of the inside/);
  expect(faultOf('connect ECONNREFUSED 10.0.0.3:6379')).toMatch(/of the inside/);
  expect(faultOf('There is no model "/tmp/x" here. Choose another.', '/v1/models//tmp/x')).toBeUndefined();
});
