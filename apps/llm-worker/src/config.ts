import { DRAFT_TOKENS } from '@segue/llm';
import { defineConfig, integer } from '@segue/service';
import { workerSettings } from '@segue/worker';

export const readConfig = defineConfig({
  // More tasks than rows of a batch, so that the next rows are ready when some leave.
  ...workerSettings({ httpPort: 8082, concurrency: 16 }),
  /** Tokens of an answer that are guessed and checked in one step at most; 0 writes token by token. The answers are the same. */
  draftTokens: integer(DRAFT_TOKENS, { min: 0 }),
  /** Prefixes of pictures in the language model's cache at most. */
  prefixCacheBytes: integer(256 * 1024 * 1024, { min: 1 }),
});
export type LlmConfig = ReturnType<typeof readConfig>;
