import { SegueError } from '@segue/core';
import { z } from 'zod';
import { bytesOf } from '../asked.js';
import type { Input } from './infer-request.js';
import { toRaw, unpackOne, type Tensor } from './tensors.js';

/*
 * Bodies of the protocol over HTTP, with the extension for binary data: JSON first, then the values of those tensors that
 * say how many bytes they have. https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md
 */

const BinaryFlag = z.object({ binary_data: z.boolean().optional() });

export const InferRequestSchema = z.object({
  id: z.string().optional(),
  parameters: z.object({ binary_data_output: z.boolean().optional() }).optional(),
  inputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.string(),
      shape: z.array(z.int()),
      parameters: z.object({ binary_data_size: z.int().min(0).optional() }).optional(),
      data: z.array(z.unknown()).optional().describe('`image` in base64.'),
    }),
  ),
  outputs: z.array(z.object({ name: z.string(), parameters: BinaryFlag.optional() })).optional(),
});
export type InferRequest = z.infer<typeof InferRequestSchema>;

/** @param binary what follows the JSON. @throws SegueError INVALID_ARGUMENT */
export function readInputs({ inputs }: InferRequest, binary: Uint8Array): Input[] {
  let at = 0;
  const read = inputs.map(({ name, datatype, shape, parameters, data }): Input => {
    const size = parameters?.binary_data_size;
    if (size === undefined) return { name, datatype, shape, element: elementOf(name, data?.flat(Infinity) ?? []) };
    const raw = binary.subarray(at, (at += size));
    return { name, datatype, shape, element: unpackOne(raw, name) };
  });
  if (at === binary.byteLength) return read;
  throw new SegueError('INVALID_ARGUMENT', 'The "binary_data_size" of the inputs and the bytes after the JSON differ.');
}

function elementOf(name: string, data: readonly unknown[]): Uint8Array {
  const [element] = data;
  if (data.length !== 1 || typeof element !== 'string') {
    throw new SegueError('INVALID_ARGUMENT', `The input "${name}" must hold one text as its "data".`);
  }
  return name === 'image' ? bytesOf(element, 'The input "image"') : Buffer.from(element);
}

export interface InferResponse {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly tensors: readonly Tensor[];
}

/** The body of an answer, and how long its JSON is where something follows it. */
export function writeOutputs(
  { id, parameters, outputs = [] }: InferRequest,
  { modelName, modelVersion, tensors }: InferResponse,
): { readonly body: Buffer; readonly jsonBytes?: number } {
  const raws: Uint8Array[] = [];
  const written = tensors.map((tensor) => {
    const { name, datatype, shape, values } = tensor;
    const asked = outputs.find((output) => output.name === name)?.parameters?.binary_data;
    if (!(asked ?? parameters?.binary_data_output ?? false)) {
      const data =
        datatype === 'BOOL'
          ? Array.from(values as ArrayLike<number>, Boolean)
          : Array.from(values as ArrayLike<unknown>);
      return { name, datatype, shape, data };
    }
    const raw = toRaw(tensor);
    raws.push(raw);
    return { name, datatype, shape, parameters: { binary_data_size: raw.byteLength } };
  });
  const head = {
    ...(id !== undefined && { id }),
    model_name: modelName,
    model_version: modelVersion,
    outputs: written,
  };
  const json = Buffer.from(JSON.stringify(head));
  return raws.length === 0 ? { body: json } : { body: Buffer.concat([json, ...raws]), jsonBytes: json.byteLength };
}
