/** Server-sent events out of a byte stream that was cut anywhere (WHATWG HTML, 9.2.6). */

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

const MAX_PENDING = 1 << 20;

export class EventReader {
  #pending = "";

  /** The events that `text` completes. A pending event beyond a megabyte is dropped. */
  push(text: string): readonly ServerEvent[] {
    const blocks = (this.#pending + text).replaceAll("\r\n", "\n").split("\n\n");
    this.#pending = blocks.pop() ?? "";
    if (this.#pending.length > MAX_PENDING) this.#pending = "";
    return blocks.map(readBlock).filter((event) => event !== null);
  }
}

function readBlock(block: string): ServerEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
  return data.length === 0 ? null : { event, data: data.join("\n") };
}

/** Reads a stream to its end; `heard` is called with the events of each piece, perhaps none. */
export async function readEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  heard: (events: readonly ServerEvent[]) => void,
): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard(events.push(value));
  }
}
