// Copies also where a page from plain http has no clipboard.

export async function copy(value: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(value);
      return true;
    }
  } catch {
    // The old way is tried next.
  }
  const area = document.createElement('textarea');
  area.value = value;
  area.className = 'offscreen';
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
