import { ERROR_CODES, STAGES, type ErrorCode } from '@segue/core';
import { ChatRequestSchema } from '@segue/dialects';
import { z } from 'zod';
import { OptionsSchema } from './options.js';

/*
 * Bodies of the HTTP interface: the types of the code that writes them and the OpenAPI document come from here.
 */

const size = z.tuple([z.int(), z.int()]).describe('Height and width of the picture.');
const RunLengthMaskSchema = z.strictObject({
  size,
  counts: z.string().describe('COCO compressed run lengths, as pycocotools reads them.'),
});
const PngMaskSchema = z.strictObject({ size, png: z.string().describe('PNG with one bit a pixel, base64.') });
const PolygonMaskSchema = z.strictObject({
  size,
  polygon: z
    .array(z.array(z.number()))
    .describe('Rings x0, y0, x1, y1, ...; a hole is joined to the ring around it, as in COCO.'),
});
const MaskSchema = z.union([RunLengthMaskSchema, PngMaskSchema, PolygonMaskSchema]);

const SegmentSchema = z.strictObject({
  index: z.int().describe('0 for the first <SEG> of the text.'),
  phrase: z.string(),
  span: z.tuple([z.int(), z.int()]).describe('Half-open range of Unicode code points of the text.'),
  mask: MaskSchema,
  box: z.tuple([z.int(), z.int(), z.int(), z.int()]).describe('x, y, width, height; all zero for an empty mask.'),
  area: z.int().describe('Pixels in the mask.'),
  score: z.number().describe('0..1; see score_calibrated of the model.'),
});

const AnswerSchema = z.strictObject({
  job_id: z.string(),
  text: z.string().describe('Each <SEG> stands for the segment of its order.'),
  segments: z
    .array(SegmentSchema)
    .describe(
      'One for each thing that the text names, in its order; "all the cups" is one thing with one mask. Empty when nothing in the picture fits: the text then says so.',
    ),
  model: z.string().describe('Name and version.'),
  finish_reason: z.enum(['stop', 'length', 'mask_only']),
  timings_ms: z.strictObject({
    queue: z.number(),
    encode: z.number(),
    generate: z.number(),
    decode: z.number(),
    total: z.number(),
  }),
  cache: z.strictObject({ image: z.boolean(), prefix: z.boolean() }).describe('What was taken from a cache.'),
  image_id: z.string().describe('Send it instead of the picture to ask again.'),
  usage: z
    .strictObject({ prompt_tokens: z.int(), completion_tokens: z.int() })
    .optional()
    .describe('Tokens that the language model has read, those of the picture included, and written.'),
});

const code = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);
const details = z.record(z.string(), z.unknown());
const ErrorSchema = z.strictObject({ code, message: z.string(), details });

const ProblemSchema = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What happened and what to do.'),
    code: code.describe('As in gRPC.'),
    details,
  })
  .describe('RFC 9457');

const JobSchema = z.strictObject({
  job_id: z.string(),
  state: z.enum(['queued', 'running', 'completed', 'failed', 'cancelled']),
  created_at_ms: z.int(),
  deadline_at_ms: z.int(),
  instruction: z.string(),
  image_id: z.string(),
  answer: AnswerSchema.optional(),
  error: ErrorSchema.optional(),
});

/** The query of a list of jobs. */
export const ListOptionsSchema = z.strictObject({
  state: JobSchema.shape.state.optional().describe('Only jobs in this state.'),
  limit: z.coerce.number().int().min(1).max(100).default(20).describe('Jobs in a page at most.'),
  page_token: z.string().optional().describe('`next_page_token` of the page before.'),
});

/** Days of which usage is told. */
export const UsageOptionsSchema = z.strictObject({
  from: z.iso.date().optional().describe('First day (UTC); the first of this month unless given.'),
  to: z.iso.date().optional().describe('Last day; today unless given.'),
});
const UsageSchema = z.strictObject({
  from: z.string().describe('First day (UTC).'),
  to: z.string().describe('Last day.'),
  jobs: z.int().describe('Jobs that have ended.'),
  answers: z.int().describe('Of these, with an answer.'),
  failed: z.int(),
  cancelled: z.int(),
  refused: z.int().describe('Requests beyond a limit, or that could not have been answered in time.'),
  tokens: z.int().describe('Written for the answers.'),
  masks: z.int().describe('Of the answers.'),
  picture_bytes: z.int().optional().describe('Kept now; where their bytes are limited.'),
});

const StageSchema = z.enum(STAGES);
const place = { id: z.string(), job_id: z.string(), at_ms: z.int() };
const EVENTS = {
  AcceptedEvent: z.strictObject({ type: z.literal('accepted'), ...place, image_id: z.string() }),
  StartingEvent: z
    .strictObject({ type: z.literal('starting'), ...place, stages: z.array(StageSchema) })
    .describe('Of these stages no worker runs yet; they are being started, and the job waits for them.'),
  StageEvent: z.strictObject({
    type: z.literal('stage'),
    ...place,
    stage: StageSchema,
    done: z.boolean(),
    cached: z.boolean(),
  }),
  TextEvent: z.strictObject({ type: z.literal('text'), ...place, offset: z.int(), text: z.string() }),
  SegmentEvent: z.strictObject({ type: z.literal('segment'), ...place, segment: SegmentSchema }),
  CompletedEvent: z.strictObject({ type: z.literal('completed'), ...place, answer: AnswerSchema }),
  FailedEvent: z.strictObject({ type: z.literal('failed'), ...place, error: ErrorSchema }),
  RestartedEvent: z
    .strictObject({ type: z.literal('restarted'), ...place })
    .describe('The answer is written anew: text and segments so far count no more.'),
  CancelledEvent: z.strictObject({ type: z.literal('cancelled'), ...place }),
};
const EventSchema = z.discriminatedUnion('type', [
  EVENTS.AcceptedEvent,
  EVENTS.StartingEvent,
  EVENTS.StageEvent,
  EVENTS.TextEvent,
  EVENTS.SegmentEvent,
  EVENTS.CompletedEvent,
  EVENTS.FailedEvent,
  EVENTS.RestartedEvent,
  EVENTS.CancelledEvent,
]);

const ModelSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  description: z.string(),
  modes: z.array(z.enum(['answer', 'mask_only'])),
  is_default: z.boolean(),
  trained: z.boolean().describe('False for random weights, which exist for tests alone.'),
  score_calibrated: z.boolean(),
  max_tokens: z.int(),
  max_question_tokens: z.int(),
  knowledge: z
    .strictObject({
      kinds: z.array(z.string()).describe('Names of the kinds of things that it can find.'),
      languages: z.array(z.string()).describe('Languages of its questions and answers, by their English names.'),
      limits: z.array(z.string()).describe('What it cannot do: one sentence each.'),
    })
    .optional()
    .describe('What people should know of the model before they ask.'),
  devices: z
    .array(z.string())
    .describe('What its workers run on at the moment, each once: `cpu`, `cuda:0`. Empty while none is heard of.'),
});

const ModelHeadSchema = z.strictObject({
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('Always 0.'),
  owned_by: z.string(),
});

/** A file of a form, as OpenAPI 3.1 says it and as generators for 3.0 know it. */
const FILE = { contentMediaType: 'application/octet-stream', format: 'binary' };

/** Bodies by the name that the OpenAPI document gives them. */
export const SCHEMAS = {
  SegmentRequest: OptionsSchema.extend({
    image: z.string().optional().describe('JPEG, PNG or WebP, base64. Instead of `image_id`.'),
  }),
  SegmentForm: OptionsSchema.extend({
    image: z.string().optional().meta(FILE).describe('JPEG, PNG or WebP.'),
    history: z.string().optional().describe('JSON: a list of {instruction, answer}.'),
  }),
  ImageRequest: z.strictObject({ image: z.string().describe('JPEG, PNG or WebP, base64.') }),
  ImageForm: z.strictObject({ image: z.string().meta(FILE) }),
  Image: z.strictObject({ image_id: z.string(), width: z.int(), height: z.int() }),
  Answer: AnswerSchema,
  Segment: SegmentSchema,
  Mask: MaskSchema,
  RunLengthMask: RunLengthMaskSchema,
  PngMask: PngMaskSchema,
  PolygonMask: PolygonMaskSchema,
  Job: JobSchema,
  Jobs: z.strictObject({
    jobs: z.array(JobSchema).describe('Without their answers.'),
    next_page_token: z.string().optional().describe('Absent on the last page; a page may be empty and not the last.'),
  }),
  Event: EventSchema,
  ...EVENTS,
  Usage: UsageSchema,
  Model: ModelSchema,
  Models: z.strictObject({
    models: z.array(ModelSchema),
    object: z.literal('list').describe("With `data`: the same as OpenAI's clients read it."),
    data: z.array(ModelHeadSchema),
  }),
  ModelHead: ModelHeadSchema,
  ChatRequest: ChatRequestSchema,
  ChatCompletion: z.looseObject({
    id: z.string(),
    model: z.string(),
    choices: z.array(
      z.looseObject({
        index: z.int(),
        message: z.looseObject({ role: z.string(), content: z.string(), segments: z.array(SegmentSchema) }),
        finish_reason: z.string(),
      }),
    ),
    usage: z.looseObject({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() }).optional(),
  }),
  Error: ErrorSchema,
  Problem: ProblemSchema,
  OpenAiError: z.strictObject({
    error: z.strictObject({ message: z.string(), type: z.string(), param: z.null(), code: z.string() }),
  }),
};

export type Body<K extends keyof typeof SCHEMAS> = z.infer<(typeof SCHEMAS)[K]>;
