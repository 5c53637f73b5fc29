import { defineConfig } from 'vitest/config';

/** All projects of the workspace in one run; two workers, because integration tests start servers of their own. */
export default defineConfig({ test: { projects: ['apps/*', 'libs/*', 'tools', 'bench', 'e2e'], maxWorkers: 2 } });
