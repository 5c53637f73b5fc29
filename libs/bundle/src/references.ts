import { frameSize, keepsBytes } from './geometry.js';
import { signaturesOf, type Dim } from './signatures.js';
import type { GraphValue, ImageInput, Manifest } from './manifest.js';

/** A field of the manifest that does not fit the rest. */
export interface Problem {
  readonly path: (string | number)[];
  readonly message: string;
}

/** Checks what no single field shows: that names lead somewhere and shapes agree. */
export function checkReferences(manifest: Manifest): Problem[] {
  return [
    ...Object.entries(manifest.images).flatMap(([name, image]) => checkImage(name, image)),
    ...checkRuns(manifest),
    ...checkEncoderOutputs(manifest),
    ...checkDecoder(manifest),
    ...checkSignatures(manifest),
    ...checkLimits(manifest),
  ];
}

function checkImage(name: string, { resize, centreCrop, pad }: ImageInput): Problem[] {
  const problems: Problem[] = [];
  const path = ['images', name];
  if (resize.rule === 'shortest_side' && centreCrop === null) {
    problems.push({ path: [...path, 'centreCrop'], message: 'must be set with the rule "shortest_side"' });
  }
  if (centreCrop && resize.rule === 'longest_side') {
    problems.push({ path: [...path, 'centreCrop'], message: 'must be null with the rule "longest_side"' });
  }
  if (centreCrop && Math.max(...centreCrop) > resize.size) {
    problems.push({
      path: [...path, 'centreCrop'],
      message: `must not be larger than the resized picture (${resize.size})`,
    });
  }
  if (resize.rule === 'longest_side' && pad === null) {
    problems.push({ path: [...path, 'pad'], message: 'must be set with the rule "longest_side"' });
  }
  const inside = centreCrop ?? [resize.size, resize.size];
  if (pad && (pad.to[0] < inside[0] || pad.to[1] < inside[1])) {
    problems.push({
      path: [...path, 'pad', 'to'],
      message: `must not be smaller than the picture in it (${inside.join(' x ')})`,
    });
  }
  if (pad?.when === 'after_normalise' && pad.value.some((value) => value !== 0)) {
    problems.push({
      path: [...path, 'pad', 'value'],
      message: 'must be [0, 0, 0] when padding comes after normalising',
    });
  }
  return problems;
}

function checkRuns({ encoder, graphs, images }: Manifest): Problem[] {
  return encoder.runs.flatMap((run, index) => {
    const path = ['encoder', 'runs', index];
    const graph = graphs[run.graph];
    const image = images[run.image];
    const problems: Problem[] = [];
    if (!graph) problems.push(unknown([...path, 'graph'], run.graph, 'graphs', Object.keys(graphs)));
    if (!image) problems.push(unknown([...path, 'image'], run.image, 'images', Object.keys(images)));
    if (!graph || !image) return problems;
    const names = graph.inputs.map(({ name }) => name);
    const input = graph.inputs.find(({ name }) => name === run.input);
    if (!input) return [unknown([...path, 'input'], run.input, `graphs.${run.graph}.inputs`, names)];
    if (names.length > 1) {
      problems.push({
        path: ['graphs', run.graph, 'inputs'],
        message: `must hold ${run.input} alone; an encoder graph takes one picture`,
      });
    }
    const dtype = input.dtype === 'uint8' && keepsBytes(image) ? 'uint8' : 'float32';
    return [...problems, ...checkValue(['graphs', run.graph, 'inputs'], input, dtype, [1, 3, ...frameSize(image)])];
  });
}

function checkEncoderOutputs({ encoder, graphs, language }: Manifest): Problem[] {
  const outputs = encoder.runs.flatMap((run) => graphs[run.graph]?.outputs ?? []);
  const names = outputs.map(({ name }) => name);
  const problems: Problem[] = [];
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) {
    problems.push({
      path: ['encoder', 'runs'],
      message: `have two outputs named "${repeated}"; names must be unique over all runs`,
    });
  }
  encoder.decoderTensors.forEach((name, index) => {
    const path = ['encoder', 'decoderTensors', index];
    if (!names.includes(name)) problems.push(unknown(path, name, 'the outputs of encoder.runs', names));
    else if (encoder.decoderTensors.indexOf(name) !== index) problems.push({ path, message: `names "${name}" twice` });
  });
  const visual = outputs.find(({ name }) => name === encoder.visualTokens);
  if (!visual) {
    problems.push(unknown(['encoder', 'visualTokens'], encoder.visualTokens, 'the outputs of encoder.runs', names));
  } else {
    problems.push(...checkValue(['encoder', 'visualTokens'], visual, 'float32', [1, null, language.hiddenSize]));
  }
  return problems;
}

function checkDecoder({ decoder, encoder, graphs, images }: Manifest): Problem[] {
  const problems: Problem[] = [];
  const image = images[decoder.image];
  if (!image) problems.push(unknown(['decoder', 'image'], decoder.image, 'images', Object.keys(images)));
  if (image?.centreCrop) {
    problems.push({
      path: ['decoder', 'image'],
      message: `names "${decoder.image}", which is cropped; masks need an input that shows the whole picture`,
    });
  }
  const inputs = graphs[decoder.graph]?.inputs ?? [];
  const produced = encoder.runs.flatMap((run) => graphs[run.graph]?.outputs ?? []);
  for (const name of encoder.decoderTensors) {
    const input = inputs.find((value) => value.name === name);
    const output = produced.find((value) => value.name === name);
    if (input && output) {
      const shape = output.shape.map((dim) => (typeof dim === 'number' ? dim : null));
      problems.push(...checkValue(['graphs', decoder.graph, 'inputs'], input, output.dtype, shape));
    }
  }
  return problems;
}

function checkSignatures(manifest: Manifest): Problem[] {
  return signaturesOf(manifest).flatMap(({ path, key, inputs, outputs }) => {
    const graph = manifest.graphs[key];
    if (!graph) return [unknown(path, key, 'graphs', Object.keys(manifest.graphs))];
    return (['inputs', 'outputs'] as const).flatMap((side) => {
      const at = ['graphs', key, side];
      const wanted = side === 'inputs' ? inputs : outputs;
      const missing = wanted.flatMap(({ name, dtype, shape }) => {
        const value = graph[side].find((candidate) => candidate.name === name);
        if (!value) return [{ path: at, message: `must hold "${name}"` }];
        return dtype ? checkValue(at, value, dtype, shape) : [];
      });
      const surplus = graph[side].filter(
        ({ name }) => side === 'inputs' && !wanted.some((value) => value.name === name),
      );
      return [...missing, ...surplus.map(({ name }) => ({ path: at, message: `hold "${name}", which nothing feeds` }))];
    });
  });
}

function checkLimits({ language: { limits } }: Manifest): Problem[] {
  const problems: Problem[] = [];
  const path = ['language', 'limits'];
  if (limits.maxQuestionTokens + limits.maxNewTokens > limits.contextTokens) {
    problems.push({ path: [...path, 'contextTokens'], message: 'must hold maxQuestionTokens and maxNewTokens' });
  }
  return problems;
}

/** A dimension that is symbolic on either side fits. */
function checkValue(path: (string | number)[], value: GraphValue, dtype: string, shape: readonly Dim[]): Problem[] {
  const fits =
    value.dtype === dtype &&
    value.shape.length === shape.length &&
    value.shape.every((dim, index) => typeof dim === 'string' || shape[index] === null || dim === shape[index]);
  if (fits) return [];
  const wanted = shape.map((dim) => dim ?? '*').join(', ');
  return [
    { path, message: `"${value.name}" must be ${dtype}[${wanted}], not ${value.dtype}[${value.shape.join(', ')}]` },
  ];
}

function unknown(path: (string | number)[], name: string, where: string, known: string[]): Problem {
  return { path, message: `names "${name}", which is not in ${where} (${known.join(', ')})` };
}
