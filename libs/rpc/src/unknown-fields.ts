import { isMessage, type DescMessage, type Message } from '@bufbuild/protobuf';
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import { SegueError } from '@segue/core';

/**
 * Refuses a message that holds fields which this service does not know, at any depth: an option that is silently
 * ignored would be an answer to another question.
 * @throws SegueError INVALID_ARGUMENT
 */
export function refuseUnknownFields(schema: DescMessage, message: Message): void {
  visit(reflect(schema, message), schema.name);
}

/** A status is sent in a header: it names so many fields and no more. */
const MAX_NUMBERS = 5;

function visit(message: ReflectMessage, path: string): void {
  const unknown = message.getUnknown() ?? [];
  if (unknown.length > 0) {
    const all = [...new Set(unknown.map((field) => field.no))];
    const more = all.length > MAX_NUMBERS ? ` and ${all.length - MAX_NUMBERS} more` : '';
    const numbers = all.slice(0, MAX_NUMBERS).join(', ') + more;
    throw new SegueError(
      'INVALID_ARGUMENT',
      `${path} has no field with number ${numbers}. Leave it out, or use the definition of the server's own version.`,
    );
  }
  for (const field of message.sortedFields) {
    if (!message.isSet(field)) continue;
    const name = `${path}.${field.name}`;
    if (field.fieldKind === 'message') visit(message.get(field), name);
    if (field.fieldKind === 'list' && field.listKind === 'message') {
      for (const item of message.get(field)) if (isReflected(item)) visit(item, name);
    }
  }
}

function isReflected(item: unknown): item is ReflectMessage {
  return typeof item === 'object' && item !== null && 'message' in item && isMessage(item.message);
}
