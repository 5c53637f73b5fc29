import { defineConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from 'vitest/config';

interface Options extends NonNullable<ViteUserConfig['test']> {
  /** Share of the project's lines, in per cent, that its tests must run. */
  readonly floor?: number;
  /** Specs that are run on a Redis Cluster, too. */
  readonly onCluster?: readonly string[];
}

const SPECS = ['src/**/*.spec.ts'];

/** Vitest settings shared by every project of the workspace: sources are read through the `@segue/source` export condition. */
export function project(
  name: string,
  { floor = 0, include = SPECS, onCluster, ...test }: Options = {},
): ViteUserConfig {
  return defineConfig({
    resolve: { conditions: ['@segue/source'] },
    ssr: { resolve: { conditions: ['@segue/source'], externalConditions: ['@segue/source'] } },
    oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
    test: {
      name,
      environment: 'node',
      testTimeout: 20_000,
      hookTimeout: 60_000,
      reporters: ['default', ['json', { outputFile: 'reports/test.json' }]],
      ...test,
      ...(onCluster
        ? { projects: [{ extends: true, test: { name, include } }, runOnCluster(name, onCluster)] }
        : { include }),
      coverage: {
        include: ['src/**/*.ts'],
        reporter: ['json-summary'],
        reportsDirectory: 'reports/coverage',
        thresholds: { lines: floor },
      },
    },
  });
}

/** One cluster for all specs, which therefore run one after the other. */
function runOnCluster(name: string, specs: readonly string[]): TestProjectInlineConfiguration {
  return {
    extends: true,
    test: {
      name: `${name} on a cluster`,
      include: [...specs],
      globalSetup: new URL('./vitest.cluster.ts', import.meta.url).pathname,
      fileParallelism: false,
      isolate: false,
      sequence: { groupOrder: 1 },
    },
  };
}

/** For projects whose code starts threads from its own sources. */
export const THREADS_READ_SOURCES = ['--import', new URL('./vitest.threads.mjs', import.meta.url).href];
