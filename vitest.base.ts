import { defineConfig, type ViteUserConfig } from 'vitest/config';

interface Options extends NonNullable<ViteUserConfig['test']> {
  /** Share of the project's lines, in per cent, that its tests must run. */
  readonly floor?: number;
}

/** Vitest settings shared by every project of the workspace: sources are read through the `@segue/source` export condition. */
export function project(name: string, { floor = 0, ...test }: Options = {}): ViteUserConfig {
  return defineConfig({
    resolve: { conditions: ['@segue/source'] },
    ssr: { resolve: { conditions: ['@segue/source'], externalConditions: ['@segue/source'] } },
    oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
    test: {
      name,
      include: ['src/**/*.spec.ts'],
      environment: 'node',
      testTimeout: 20_000,
      hookTimeout: 60_000,
      reporters: ['default', ['json', { outputFile: 'reports/test.json' }]],
      ...test,
      coverage: {
        include: ['src/**/*.ts'],
        reporter: ['json-summary'],
        reportsDirectory: 'reports/coverage',
        thresholds: { lines: floor },
      },
    },
  });
}

/** For projects whose code starts threads from its own sources. */
export const THREADS_READ_SOURCES = ['--import', new URL('./vitest.threads.mjs', import.meta.url).href];
