import { CHUNK_TOKENS } from '@segue/llm';
import { defineConfig, integer } from '@segue/service';
import { workerSettings } from '@segue/worker';

export const readConfig = defineConfig({
  // More tasks than rows of a batch, so that the next rows are ready when some leave.
  ...workerSettings({ httpPort: 8082, concurrency: 16 }),
  /**
   * Tokens between two looks at who joins and who leaves, at most the bundle's own number. More cost less where a run is dear
   * besides its steps, as where the cache is copied to a GPU and back.
   */
  chunkTokens: integer(CHUNK_TOKENS, { min: 1 }),
  /** Prefixes of pictures in the language model's cache at most. */
  prefixCacheBytes: integer(256 * 1024 * 1024, { min: 1 }),
});
export type LlmConfig = ReturnType<typeof readConfig>;
