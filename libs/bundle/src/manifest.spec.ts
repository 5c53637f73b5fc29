import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ManifestSchema, type Manifest } from './manifest.js';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- manifests are broken on purpose below
type Loose = { [key: string]: any };

function sample(name: string): Manifest & Loose {
  return JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'));
}

/** The problems of the sample after a change, as "field: message". */
function problemsAfter(change: (manifest: Loose) => void, name = 'one-input'): string[] {
  const manifest = sample(name);
  change(manifest);
  const result = ManifestSchema.safeParse(manifest);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('ManifestSchema', () => {
  it.each(['one-input', 'two-inputs'])('accepts a bundle with %s', (name) => {
    expect(problemsAfter(() => undefined, name)).toEqual([]);
  });

  it('fills in that a graph has no external data', () => {
    expect(ManifestSchema.parse(sample('one-input')).graphs.encoder?.externalData).toEqual([]);
  });

  const fields: [string, (manifest: Loose) => void, string][] = [
    ['a field it does not know', (m) => (m.language.temperature = 0.7), 'temperature'],
    ['a missing field', (m) => delete m.decoder.scoreCalibrated, 'decoder.scoreCalibrated'],
    [
      'a file outside the bundle',
      (m) => (m.golden.file = 'golden/../../secret'),
      'golden.file: must be a path inside the bundle',
    ],
    ['an absolute file', (m) => (m.golden.file = '/etc/passwd'), 'golden.file: must be a path inside the bundle'],
    ['a hash that is none', (m) => (m.golden.sha256 = 'abc'), 'golden.sha256'],
    ['float16 at the border', (m) => (m.graphs.encoder.outputs[0].dtype = 'float16'), 'graphs.encoder.outputs.0.dtype'],
    [
      'a question without {text}',
      (m) => (m.language.template.nextQuestion = 'user:'),
      'nextQuestion: must hold {text} exactly once',
    ],
    [
      'a question with two {text}',
      (m) => (m.language.template.answer = '{text} {text}'),
      'answer: must hold {text} exactly once',
    ],
    [
      'a broken pattern',
      (m) => (m.language.phrasePattern = '(the'),
      'language.phrasePattern: must be a regular expression',
    ],
    [
      'knowledge of no language',
      (m) => (m.knowledge = { kinds: [], languages: [], limits: [] }),
      'knowledge.languages',
    ],
    ['a standard deviation of 0', (m) => (m.images.main.std[1] = 0), 'images.main.std.1'],
  ];
  it.each(fields)('refuses %s', (_, change, problem) => {
    expect(problemsAfter(change).join('\n')).toContain(problem);
  });

  const references: [string, (manifest: Loose) => void, string][] = [
    [
      'an encoder run without its graph',
      (m) => (m.encoder.runs[0].graph = 'sam'),
      'encoder.runs.0.graph: names "sam", which is not in graphs (encoder, ',
    ],
    [
      'an encoder run without its image',
      (m) => (m.encoder.runs[0].image = 'clip'),
      'encoder.runs.0.image: names "clip", which is not in images (main)',
    ],
    [
      'an encoder run without its input',
      (m) => (m.encoder.runs[0].input = 'x'),
      'encoder.runs.0.input: names "x", which is not in graphs.encoder.inputs (pixels)',
    ],
    [
      'a picture that does not fit the encoder',
      (m) => (m.images.main.pad.to = [512, 640]),
      'graphs.encoder.inputs: "pixels" must be float32[1, 3, 512, 640], not float32[1, 3, 512, 512]',
    ],
    [
      'bytes of a picture that is normalised',
      (m) => {
        m.graphs.encoder.inputs[0].dtype = 'uint8';
        m.images.main.std = [58, 57, 57];
      },
      'graphs.encoder.inputs: "pixels" must be float32[1, 3, 512, 512], not uint8[1, 3, 512, 512]',
    ],
    [
      'a second encoder input',
      (m) => m.graphs.encoder.inputs.push(m.graphs.decoder.inputs[0]),
      'graphs.encoder.inputs: must hold pixels alone',
    ],
    [
      'a decoder tensor that nobody makes',
      (m) => (m.encoder.decoderTensors[1] = 'b9'),
      'encoder.decoderTensors.1: names "b9", which is not in the outputs of encoder.runs (b2, b4, visual_tokens)',
    ],
    [
      'a decoder tensor named twice',
      (m) => (m.encoder.decoderTensors[1] = 'b2'),
      'encoder.decoderTensors.1: names "b2" twice',
    ],
    [
      'a decoder tensor that the decoder does not take',
      (m) => m.graphs.decoder.inputs.shift(),
      'graphs.decoder.inputs: must hold "b2"',
    ],
    [
      'a decoder tensor of another shape',
      (m) => (m.graphs.decoder.inputs[0].shape[1] = 25),
      'graphs.decoder.inputs: "b2" must be float32[1, 24, 128, 128], not float32[1, 25, 128, 128]',
    ],
    [
      'a decoder input that nothing feeds',
      (m) => m.graphs.decoder.inputs.push({ name: 'points', dtype: 'float32', shape: [1] }),
      'graphs.decoder.inputs: hold "points", which nothing feeds',
    ],
    [
      'visual tokens that nobody makes',
      (m) => (m.encoder.visualTokens = 'visual'),
      'encoder.visualTokens: names "visual"',
    ],
    [
      'visual tokens of another width',
      (m) => (m.graphs.encoder.outputs[2].shape[2] = 960),
      'encoder.visualTokens: "visual_tokens" must be float32[1, *, 576], not float32[1, 64, 960]',
    ],
    [
      'a language graph that is missing',
      (m) => (m.language.graph = 'step'),
      'language.graph: names "step", which is not in graphs',
    ],
    [
      'a language graph without an output',
      (m) => m.graphs.language.outputs.pop(),
      'graphs.language.outputs: must hold "logprobs"',
    ],
    [
      'a cache of another geometry',
      (m) => (m.language.kv.heads = 9),
      'graphs.language.inputs: "past_kv" must be float32[60, *, 9, *, 64], not float32[60, batch, 3, past, 64]',
    ],
    [
      'an input of another type',
      (m) => (m.graphs.language.inputs[1].dtype = 'float32'),
      'graphs.language.inputs: "lengths" must be int64[*], not float32[batch]',
    ],
    ['a decoder image that is missing', (m) => (m.decoder.image = 'sam'), 'decoder.image: names "sam"'],
    [
      'limits above the context',
      (m) => (m.language.limits.contextTokens = 300),
      'language.limits.contextTokens: must hold maxQuestionTokens and maxNewTokens',
    ],
    [
      'a bundle of before',
      (m) => (m.schemaVersion = 1),
      'schemaVersion: must be 2; export the bundle again with this version of training/',
    ],
    ['no padding around the longest side', (m) => (m.images.main.pad = null), 'images.main.pad: must be set'],
    [
      'a frame smaller than the picture',
      (m) => (m.images.main.pad.to = [511, 512]),
      'images.main.pad.to: must not be smaller',
    ],
  ];
  it.each(references)('refuses %s', (_, change, problem) => {
    expect(problemsAfter(change).join('\n')).toContain(problem);
  });

  const geometry: [string, (manifest: Loose) => void, string][] = [
    [
      'two outputs of one name',
      (m) => (m.graphs.clip.outputs[0].name = 'image_embeddings'),
      'encoder.runs: have two outputs named "image_embeddings"',
    ],
    ['masks in a cropped picture', (m) => (m.decoder.image = 'clip'), 'decoder.image: names "clip", which is cropped'],
    [
      'the shortest side without a crop',
      (m) => (m.images.clip.centreCrop = null),
      'images.clip.centreCrop: must be set',
    ],
    [
      'a crop larger than the picture',
      (m) => (m.images.clip.centreCrop = [336, 224]),
      'images.clip.centreCrop: must not be larger than the resized picture (224)',
    ],
    [
      'coloured padding after normalising',
      (m) => (m.images.sam.pad.value = [1, 0, 0]),
      'images.sam.pad.value: must be [0, 0, 0]',
    ],
  ];
  it.each(geometry)('refuses %s', (_, change, problem) => {
    expect(problemsAfter(change, 'two-inputs').join('\n')).toContain(problem);
  });

  it('lists every problem at once', () => {
    const problems = problemsAfter((m) => {
      m.language.graph = 'step';
      m.decoder.image = 'sam';
    });
    expect(problems).toHaveLength(2);
  });
});
