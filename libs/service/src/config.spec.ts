import { describe, expect, it } from 'vitest';
import { defineConfig, integer, jobSettings, oneOf, pictureSettings, port, serviceSettings } from './config.js';

const readConfig = defineConfig({
  ...serviceSettings({ httpPort: 8080 }),
  ...jobSettings,
  ...pictureSettings,
  threads: integer(2, { min: 1, max: 64 }),
});

describe('defineConfig', () => {
  it('completes what is not set', () => {
    expect(readConfig({})).toMatchObject({
      httpPort: 8080,
      redisUrl: 'redis://127.0.0.1:6379',
      model: 'segue-smol',
      maxPictureBytes: 26_214_400,
      logFormat: 'json',
    });
  });

  it('reads SEGUE_ variables and takes an empty one as unset', () => {
    expect(readConfig({ SEGUE_HTTP_PORT: '0', SEGUE_MODEL: '', SEGUE_THREADS: '4' })).toMatchObject({
      httpPort: 0,
      model: 'segue-smol',
      threads: 4,
    });
  });

  it('names every bad variable at once, without its value', () => {
    const read = () =>
      readConfig({
        SEGUE_HTTP_PORT: '70000',
        SEGUE_REDIS_URL: 'http://user:secret@host',
        SEGUE_LOG_LEVEL: 'loud',
        SEGUE_THREADS: '1.5',
      });
    expect(read).toThrow(/SEGUE_HTTP_PORT: must be at most 65535/);
    expect(read).toThrow(
      /SEGUE_REDIS_URL: must be a URL that begins with redis:\/\/, rediss:\/\/, redis\+cluster:\/\/ or rediss\+cluster:\/\//,
    );
    expect(read).toThrow(/SEGUE_LOG_LEVEL: must be one of fatal, error/);
    expect(read).toThrow(/SEGUE_THREADS: must be a whole number/);
    expect(read).not.toThrow(/secret/);
  });

  it('takes names and addresses of both kinds to listen on', () => {
    for (const host of ['0.0.0.0', '::', 'fe80::1%eth0', 'gateway-0.segue']) {
      expect(readConfig({ SEGUE_HOST: host })).toMatchObject({ host });
    }
    for (const host of ['[::]', '::1:8080:x', 'localhost:8080', 'http://localhost']) {
      expect(() => readConfig({ SEGUE_HOST: host }), host).toThrow(/SEGUE_HOST: must be a host name or an address/);
    }
  });

  it('takes some of a few words', () => {
    expect(readConfig({ SEGUE_PICTURE_FORMATS: 'png, tiff' }).pictureFormats).toEqual(['png', 'tiff']);
    expect(readConfig({}).pictureFormats).toEqual(['jpeg', 'png', 'webp']);
    expect(() => readConfig({ SEGUE_PICTURE_FORMATS: 'png,pdf' })).toThrow(
      /SEGUE_PICTURE_FORMATS: must be some of jpeg/,
    );
  });

  it('is read-only', () => {
    const config = defineConfig({ port: port(1), level: oneOf(['a', 'b'], 'a') })({});
    expect(Object.isFrozen(config)).toBe(true);
  });
});
