import { SegueError } from '@segue/core';

/** How a project wants its masks. */
export interface LabelConfig {
  readonly kind: 'brush' | 'polygon';
  /** Names of the tag with the labels and of the picture's tag. */
  readonly fromName: string;
  readonly toName: string;
  readonly labels: readonly string[];
  /** The field of a task's data that holds the picture. */
  readonly imageField: string;
}

interface Tag {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}

const TAG = /<\s*(\w+)((?:\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*\/?>/g;
const ATTRIBUTE = /([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** Reads a labelling interface (XML). @throws SegueError INVALID_ARGUMENT unless it has a picture and labels for masks. */
export function readLabelConfig(xml: string): LabelConfig {
  const tags = tagsOf(xml);
  const control = tags.find(({ name }) => name === 'BrushLabels') ?? tags.find(({ name }) => name === 'PolygonLabels');
  const picture = tags.find(
    ({ name, attributes }) => name === 'Image' && attributes.get('name') === control?.attributes.get('toName'),
  );
  if (!control || !picture) {
    throw new SegueError(
      'INVALID_ARGUMENT',
      'The labelling interface needs an <Image> and <BrushLabels> or <PolygonLabels> whose toName is its name.',
    );
  }
  return {
    kind: control.name === 'BrushLabels' ? 'brush' : 'polygon',
    fromName: control.attributes.get('name') ?? '',
    toName: picture.attributes.get('name') ?? '',
    labels: tags.filter(({ name }) => name === 'Label').flatMap(({ attributes }) => attributes.get('value') ?? []),
    imageField: (picture.attributes.get('value') ?? '').replace(/^\$/, ''),
  };
}

function tagsOf(xml: string): Tag[] {
  return [...xml.replace(/<!--[^]*?-->/g, '').matchAll(TAG)].map(([, name = '', attributes = '']) => ({
    name,
    attributes: new Map(
      [...attributes.matchAll(ATTRIBUTE)].map(([, key = '', double, single]) => [
        key,
        unescape(double ?? single ?? ''),
      ]),
    ),
  }));
}

function unescape(text: string): string {
  return text.replace(/&(\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}
