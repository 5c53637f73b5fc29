import type { Bundle, Manifest } from '@segue/bundle';
import { Decoder, decoderGraphs } from '@segue/decoder';
import { Encoder, encoderGraphs, type Preprocess } from '@segue/encoder';
import type { Session } from '@segue/inference';
import { LanguageModel, languageGraphs, type LanguageModelOptions } from '@segue/llm';

export interface OpenModelsOptions extends LanguageModelOptions {
  readonly preprocess: Preprocess;
}

/** The models of all stages, opened in this process. */
export interface OpenModels {
  readonly encoder: Encoder;
  readonly languageModel: LanguageModel;
  readonly decoder: Decoder;
}

/** Keys of the graphs that the three stages run. */
export function allGraphs(manifest: Manifest): string[] {
  return [...encoderGraphs(manifest), ...languageGraphs(manifest), ...decoderGraphs(manifest)];
}

/**
 * `sessions`: open sessions of {@link allGraphs}; the caller closes them, after the language model.
 * @throws SegueError INTERNAL when the bundle's tokenizer does not fit its manifest.
 */
export async function openModels(
  bundle: Pick<Bundle, 'file' | 'manifest'>,
  sessions: Readonly<Record<string, Session>>,
  { preprocess, ...options }: OpenModelsOptions,
): Promise<OpenModels> {
  return {
    encoder: new Encoder(bundle, sessions, preprocess),
    languageModel: await LanguageModel.create(bundle, sessions, options),
    decoder: new Decoder(bundle, sessions),
  };
}
