import { beforeAll, describe, expect, it } from 'vitest';
import { apply } from './cluster.js';
import { run, tell } from './commands.js';

beforeAll(async () => {
  await run('kubectl', 'apply', '--filename', 'k8s/base/namespace.yaml');
});

describe('every overlay', () => {
  it.each([
    'k8s/overlays/local',
    'k8s/overlays/production',
    'e2e/cluster/overlays/running',
    'e2e/cluster/overlays/processor',
    'e2e/cluster/overlays/counting',
    'e2e/cluster/overlays/others',
    'e2e/cluster/overlays/sentinel',
  ])('%s is taken as it is, under the restricted profile', async (folder) => {
    const output = await apply(folder, '--dry-run=server');
    tell(`${folder}: the API server takes ${output.split('\n').length - 1} objects`);
    expect(output).not.toMatch(/error/i);
  });
});
