// Hashes a file beside the page, piece by piece; the file goes nowhere else.
import { createBLAKE3, createSHA256 } from 'hash-wasm';

const PIECE = 4 << 20;

self.onmessage = async (event: MessageEvent<File>) => {
  const file = event.data;
  try {
    const [blake3, sha256] = await Promise.all([createBLAKE3(), createSHA256()]);
    for (let at = 0; at < file.size || at === 0; at += PIECE) {
      const piece = new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
      blake3.update(piece);
      sha256.update(piece);
      self.postMessage({ done: Math.min(1, (at + PIECE) / Math.max(1, file.size)) });
    }
    self.postMessage({ digests: { sha256: sha256.digest('hex'), blake3: blake3.digest('hex') } });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
