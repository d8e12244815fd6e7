import { build, type Rolldown } from "vite";
import { afterEach, expect, it, vi } from "vitest";

/** JavaScript that a viewer loads besides hls.js, gzip bytes. */
const BUDGET = 60 * 1024;
const BUILD_MS = 30_000;

/** What viewers do not load, or not as a part of the pages: streamers' and moderators' parts, the player library. */
const OTHERS = /hls\.js|views\/studio|views\/chat\/moderation\.tsx/;

type Chunk = Rolldown.OutputChunk;

async function chunks(): Promise<readonly Chunk[]> {
  vi.stubEnv("NODE_ENV", "production"); // as the pages are built; otherwise every element names its line
  const built = await build({ logLevel: "silent", build: { write: false } });
  if (!("output" in built)) throw new Error("no single output");
  return built.output.filter((file) => file.type === "chunk");
}

async function gzipSize(text: string): Promise<number> {
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(packed).arrayBuffer()).byteLength;
}

/** A chunk with everything it loads at once. */
function withImports(all: readonly Chunk[], entry: Chunk, found = new Set<Chunk>()): ReadonlySet<Chunk> {
  found.add(entry);
  for (const name of entry.imports) {
    const next = all.find((chunk) => chunk.fileName === name);
    if (next !== undefined && !found.has(next)) withImports(all, next, found);
  }
  return found;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

it(
  "what viewers load stays small, and holds no studio, no moderation and no player library",
  async () => {
    const all = await chunks();
    const entry = all.find((chunk) => chunk.isEntry);
    if (entry === undefined) throw new Error("no entry");
    const viewer = all.filter((chunk) => !Object.keys(chunk.modules).some((name) => OTHERS.test(name)));
    const sizes = await Promise.all(viewer.map((chunk) => gzipSize(chunk.code)));
    const size = sizes.reduce((sum, one) => sum + one, 0);
    expect(size).toBeLessThanOrEqual(BUDGET);
    const first = [...withImports(all, entry)].flatMap((chunk) => Object.keys(chunk.modules));
    expect(first.some((name) => name.includes("views/embed"))).toBe(true);
    expect(
      first.filter((name) =>
        /views\/studio|views\/chat\/moderation\.tsx|api\/health|hls\.js|(hls|whep|native)_engine/.test(name),
      ),
    ).toEqual([]);
  },
  BUILD_MS,
);
