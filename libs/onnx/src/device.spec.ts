import { describe, expect, it } from 'vitest';
import { chooseDevice, DEVICE_PATTERN, deviceName, type Device } from './device.js';

const gpu: Device = { provider: 'cuda', index: 1 };
const works = (): Promise<undefined> => Promise.resolve(undefined);
const broken = (): Promise<string> => Promise.resolve('no driver');

describe('chooseDevice', () => {
  it('takes the CPU without trying anything', async () => {
    expect(await chooseDevice('cpu', () => Promise.reject(new Error('tried')))).toEqual({
      device: { provider: 'cpu' },
    });
  });

  it('takes the GPU that can be used, the first one unless another is named', async () => {
    expect(await chooseDevice('auto', works)).toEqual({ device: { ...gpu, index: 0 } });
    expect(await chooseDevice('cuda', works)).toEqual({ device: { ...gpu, index: 0 } });
    expect(await chooseDevice('cuda:1', works)).toEqual({ device: gpu });
  });

  it('falls back by itself, and says why', async () => {
    expect(await chooseDevice('auto', broken)).toEqual({ device: { provider: 'cpu' }, fallback: 'no driver' });
  });

  it('refuses a GPU that was named and cannot be used', async () => {
    await expect(chooseDevice('cuda:1', broken)).rejects.toThrow(
      /cuda:1 cannot be used: no driver.*docs\/guides\/gpu\.md/,
    );
  });

  it('tries out for real: a GPU works or says what is missing', async () => {
    const { device, fallback } = await chooseDevice('auto');
    const found = device.provider === 'cpu' ? fallback : deviceName(device);
    expect(found).toMatch(/cuda|cudart|shared library/i);
  });
});

it('knows devices by their names', () => {
  expect([deviceName({ provider: 'cpu' }), deviceName(gpu)]).toEqual(['cpu', 'cuda:1']);
  for (const name of ['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:12']) expect(name).toMatch(DEVICE_PATTERN);
  for (const name of ['gpu', 'cuda:', 'cuda:x', 'CPU', ' cpu']) expect(name).not.toMatch(DEVICE_PATTERN);
});
