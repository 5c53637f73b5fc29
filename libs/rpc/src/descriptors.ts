import { clone } from '@bufbuild/protobuf';
import { protoCamelCase } from '@bufbuild/protobuf/reflect';
import { FileDescriptorProtoSchema, type DescriptorProto, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';

/**
 * The file as protoc would write it and strict clients ask for it: types named in full (`.package.Message`), fields with
 * their JSON name. proto-loader, which the health service is loaded with, names types relative to where they stand.
 */
export function asProtocWrites(source: FileDescriptorProto): FileDescriptorProto {
  const file = clone(FileDescriptorProtoSchema, source);
  const root = file.package === '' ? '' : `.${file.package}`;
  const known = new Set<string>();
  const visit = (
    messages: readonly DescriptorProto[],
    scope: string,
    then: (message: DescriptorProto, name: string) => void,
  ) => {
    for (const message of messages) {
      const name = `${scope}.${message.name}`;
      then(message, name);
      visit(message.nestedType, name, then);
    }
  };
  for (const { name } of file.enumType) known.add(`${root}.${name}`);
  visit(file.messageType, root, (message, name) => {
    known.add(name);
    for (const { name: inner } of message.enumType) known.add(`${name}.${inner}`);
  });

  const inFull = (name: string, scope: string): string => {
    for (let at = scope; !name.startsWith('.') && at !== ''; at = at.slice(0, at.lastIndexOf('.'))) {
      if (known.has(`${at}.${name}`)) return `${at}.${name}`;
    }
    return name;
  };
  visit(file.messageType, root, (message, scope) => {
    for (const field of message.field) {
      if (field.typeName !== '') field.typeName = inFull(field.typeName, scope);
      field.jsonName ||= protoCamelCase(field.name);
    }
  });
  for (const method of file.service.flatMap((service) => service.method)) {
    method.inputType = inFull(method.inputType, root);
    method.outputType = inFull(method.outputType, root);
  }
  return file;
}
