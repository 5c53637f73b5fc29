import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** Builds the page into the folder that the gateway serves. Addresses are relative, so that it works behind any path prefix. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  resolve: { conditions: ['@segue/source', 'module', 'browser', 'production'] },
  worker: { format: 'es' },
  build: {
    outDir: '../../apps/gateway/public',
    emptyOutDir: true,
    target: 'es2022',
    // The policy allows scripts and styles from files alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/v1': 'http://localhost:8080', '/examples': 'http://localhost:8080' } },
});
