/** 32-bit FNV-1a of a text: stable colours and shapes for names. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}

/** One of `count` hues, spread over the circle, in degrees. */
export function hueOf(text: string, count = 24): number {
  return (hash(text) % count) * (360 / count);
}

/** Numbers in [0, 1) that are always the same for one seed. */
export function series(seed: number): () => number {
  let state = seed || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
