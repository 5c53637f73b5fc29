import { DTYPES, type DType } from '@segue/tensors';
import { z } from 'zod';
import { checkReferences } from './references.js';

const count = z.int().positive();
const side = z.int().positive();
const size = z.tuple([side, side]);
const triple = z.tuple([z.number(), z.number(), z.number()]);
const tokenId = z.int().nonnegative();
const facts = z.record(z.string(), z.json());

const BundleFileSchema = z.strictObject({
  /** Path inside the bundle, with forward slashes. */
  file: z.string().regex(/^(?!.*(?:^|\/)\.\.?(?:\/|$))[\w.-]+(?:\/[\w.-]+)*$/, 'must be a path inside the bundle'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits'),
  bytes: z.int().nonnegative(),
});

const ImageInputSchema = z.strictObject({
  resize: z.strictObject({
    rule: z.enum(['longest_side', 'shortest_side', 'stretch']),
    size: side,
    filter: z.enum(['bilinear', 'bicubic']),
    /** How a resized side becomes whole: Segment Anything rounds half up, CLIP's image processor down. */
    rounding: z.enum(['half_up', 'down']).default('half_up'),
  }),
  /** height, width */
  centreCrop: size.nullable(),
  /** To the right and the bottom. `value` is a pixel value before normalising and 0 after it. */
  pad: z.strictObject({ to: size, when: z.enum(['before_normalise', 'after_normalise']), value: triple }).nullable(),
  rescale: z.number().positive(),
  mean: triple,
  std: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
});

const ValueSchema = z.strictObject({
  name: z.string().min(1),
  dtype: z.enum(Object.keys(DTYPES) as [DType, ...DType[]]),
  /** A string is a dimension known at run time only. */
  shape: z.array(z.union([z.int().nonnegative(), z.string().min(1)])),
});

const GraphSchema = BundleFileSchema.extend({
  externalData: z.array(BundleFileSchema).default([]),
  inputs: z.array(ValueSchema).min(1),
  outputs: z.array(ValueSchema).min(1),
});

const EncoderSchema = z.strictObject({
  runs: z.array(z.strictObject({ graph: z.string(), image: z.string(), input: z.string() })).min(1),
  /** Names of the outputs that the decoder takes. */
  decoderTensors: z.array(z.string()).min(1),
  /** Name of the output that the language model takes: float32[1, visual, hidden]. */
  visualTokens: z.string(),
});

const questionTemplate = z
  .string()
  .regex(/^(?:(?!\{text\})[^])*\{text\}(?:(?!\{text\})[^])*$/, 'must hold {text} exactly once');
const ModeSchema = z.strictObject({ answerPrefix: z.string() });

const LanguageSchema = z.strictObject({
  graph: z.string(),
  segHead: z.string(),
  tokenizer: BundleFileSchema,
  ids: z.strictObject({
    seg: tokenId,
    image: tokenId,
    end: z.array(tokenId).min(1),
    bos: tokenId.nullable(),
    pad: tokenId,
  }),
  segToken: z.string().min(1),
  /** Control tokens are written literally; see the prompt builder for how the parts are joined. */
  template: z.strictObject({
    imagePrefix: z.string(),
    firstQuestion: questionTemplate,
    answer: questionTemplate,
    nextQuestion: questionTemplate,
  }),
  /** `null`: the bundle does not support the mode. */
  modes: z.strictObject({ answer: ModeSchema, maskOnly: ModeSchema.nullable() }),
  /** Answers as the model usually writes them, `segToken` written out: what it is expected to write before it has. */
  usualAnswers: z.array(z.string()),
  /** Which state is the segment's: the one that predicted `<SEG>` or the one at it. */
  segState: z.enum(['before', 'at']),
  phrasePattern: z.string().refine(isPattern, 'must be a regular expression'),
  kv: z.strictObject({ layers: count, heads: count, headDim: count }),
  hiddenSize: count,
  promptSize: count,
  limits: z.strictObject({
    contextTokens: count,
    maxQuestionTokens: count,
    maxNewTokens: count,
    maxSegments: count,
    maxBatch: count,
  }),
});

const KnowledgeSchema = z.strictObject({
  /** Names of the kinds of things that it can find. */
  kinds: z.array(z.string().min(1)),
  /** Languages of its questions and answers, by their English names. */
  languages: z.array(z.string().min(1)).min(1),
  /** What it cannot do: one sentence each. */
  limits: z.array(z.string().min(1)),
});

const DecoderSchema = z.strictObject({
  graph: z.string(),
  /** The image input whose geometry the masks have. */
  image: z.string(),
  scoreCalibrated: z.boolean(),
  maxSegmentsPerRun: count,
});

/** `manifest.json` of a model bundle: everything that differs between checkpoints. */
export const ManifestSchema = z
  .strictObject({
    schemaVersion: z.literal(2, 'must be 2; export the bundle again with this version of training/'),
    name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'must be lower-case letters, digits, dots and dashes'),
    version: z.string().regex(/^\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/, 'must be a semantic version'),
    /** `test-only`: random weights. */
    purpose: z.enum(['serving', 'test-only']),
    description: z.string().min(1),
    origins: z.array(
      z.strictObject({
        part: z.string(),
        source: z.string(),
        version: z.string(),
        license: z.string(),
        note: z.string().optional(),
      }),
    ),
    /** What people should know of it before they ask. */
    knowledge: KnowledgeSchema.optional(),
    training: facts,
    quality: facts,
    images: z.record(z.string(), ImageInputSchema),
    graphs: z.record(z.string(), GraphSchema),
    encoder: EncoderSchema,
    language: LanguageSchema,
    decoder: DecoderSchema,
    golden: BundleFileSchema,
  })
  .superRefine((manifest, context) => {
    for (const { path, message } of checkReferences(manifest)) context.addIssue({ code: 'custom', path, message });
  });

export type Manifest = z.infer<typeof ManifestSchema>;
export type ImageInput = z.infer<typeof ImageInputSchema>;
export type Graph = z.infer<typeof GraphSchema>;
/** A graph's input or output. */
export type GraphValue = z.infer<typeof ValueSchema>;
export type BundleFile = z.infer<typeof BundleFileSchema>;

function isPattern(source: string): boolean {
  try {
    new RegExp(source, 'u');
    return true;
  } catch {
    return false;
  }
}
