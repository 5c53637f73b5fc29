// node schemas.mjs < KINDS > k8s/schemas.json
// Writes down what the running cluster's API server takes: the JSON Schemas of the kinds that our manifests use, without
// descriptions and closed, so that a misspelt field is an error where no cluster is. KINDS: lines of `apiVersion kind`.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('cluster.sh', import.meta.url));
const get = (path) =>
  JSON.parse(execFileSync(script, ['exec', 'kubectl', 'get', '--raw', path], { encoding: 'utf8', maxBuffer: 2 ** 28 }));

const definitions = {};

/** A schema as JSON Schema has it, its references taken along. */
function convert(schema, all) {
  if (Array.isArray(schema)) return schema.map((part) => convert(part, all));
  if (typeof schema !== 'object' || schema === null) return schema;
  if (schema['x-kubernetes-int-or-string'] || schema.format === 'int-or-string') return { type: ['integer', 'string'] };
  if (schema.$ref) return reference(schema.$ref, all);
  // An object of the API that only wraps a reference, to give it a default.
  if (schema.allOf?.length === 1 && schema.allOf[0].$ref) return reference(schema.allOf[0].$ref, all);
  const result = {};
  for (const key of ['type', 'enum', 'required', 'minimum', 'maximum', 'minLength', 'maxLength', 'minItems'])
    if (schema[key] !== undefined) result[key] = schema[key];
  for (const key of ['items', 'oneOf', 'anyOf']) if (schema[key]) result[key] = convert(schema[key], all);
  if (schema.properties) {
    result.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, convert(property, all)]),
    );
    if (!schema['x-kubernetes-preserve-unknown-fields']) result.additionalProperties = false;
  } else if (typeof schema.additionalProperties === 'object')
    result.additionalProperties = convert(schema.additionalProperties, all);
  return result;
}

function reference($ref, all) {
  const name = $ref.slice($ref.lastIndexOf('/') + 1);
  // Quantities may be numbers as well.
  if (name.endsWith('.Quantity')) return { type: ['number', 'string'] };
  if (name.endsWith('.IntOrString')) return { type: ['integer', 'string'] };
  if (!(name in definitions)) {
    definitions[name] = {};
    definitions[name] = convert(all[name], all);
  }
  return { $ref: `#/$defs/${name}` };
}

const kinds = {};
for (const line of new Set(readFileSync(0, 'utf8').trim().split('\n').sort())) {
  const [apiVersion, kind] = line.split(' ');
  const all = get(`/openapi/v3/${apiVersion.includes('/') ? 'apis' : 'api'}/${apiVersion}`).components.schemas;
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const [name] = Object.entries(all).find(([, schema]) =>
    schema['x-kubernetes-group-version-kind']?.some(
      (gvk) => gvk.group === group && gvk.version === version && gvk.kind === kind,
    ),
  );
  kinds[line] = reference(`/${name}`, all);
}
const { gitVersion } = get('/version');
console.log(JSON.stringify({ kubernetes: gitVersion, kinds, $defs: definitions }));
