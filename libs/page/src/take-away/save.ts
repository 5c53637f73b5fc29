/** Gives the person a file. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has been handed over by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function saveJson(value: unknown, name: string): void {
  save(new Blob([JSON.stringify(value)], { type: 'application/json' }), name);
}

/** Puts a text on the clipboard, also where the page came over plain HTTP and has no clipboard of its own. */
export async function copy(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  // Deprecated, and the only way without a secure context.
  document.execCommand('copy');
  area.remove();
}
