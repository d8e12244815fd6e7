import type { ChatMessage, Emote } from "./messages";

/** A piece of a message's text. */
export type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "emote"; readonly name: string }
  | { readonly kind: "mention"; readonly text: string; readonly name: string }
  | { readonly kind: "link"; readonly text: string; readonly href: string };

const ME = /^\/me\s+/i;

/** Whether a message is written as what its author does ("/me waves"). */
export function isAction(message: ChatMessage): boolean {
  return ME.test(message.message);
}

/**
 * The text of a message in pieces: emotes where the server found them (positions are in code points), links and
 * mentions in what is left. Emotes that overlap or lie outside are left as text.
 */
export function partsOf(message: ChatMessage): readonly Part[] {
  const points = [...message.message];
  const parts: Part[] = [];
  let place = [...(ME.exec(message.message)?.[0] ?? "")].length;
  for (const emote of inOrder(message.emotes)) {
    if (emote.start < place || emote.end > points.length) continue;
    parts.push(...wordsOf(points.slice(place, emote.start).join("")));
    parts.push({ kind: "emote", name: emote.name });
    place = emote.end;
  }
  parts.push(...wordsOf(points.slice(place).join("")));
  return parts;
}

function inOrder(emotes: readonly Emote[]): readonly Emote[] {
  return [...emotes].sort((a, b) => a.start - b.start);
}

const WORD = /https?:\/\/[^\s<>"]+|(?<![\w@])@[A-Za-z0-9](?:[A-Za-z0-9_-]{0,28}[A-Za-z0-9])?/g;

/** Mentions and links of a text, and the text between them. */
export function wordsOf(text: string): readonly Part[] {
  const parts: Part[] = [];
  let place = 0;
  for (const found of text.matchAll(WORD)) {
    const part = found[0].startsWith("@") ? mentionOf(found[0]) : linkOf(found[0]);
    if (part === null) continue;
    if (found.index > place) parts.push({ kind: "text", text: text.slice(place, found.index) });
    parts.push(part);
    place = found.index + part.text.length;
  }
  if (place < text.length) parts.push({ kind: "text", text: text.slice(place) });
  return parts;
}

type Shown = Extract<Part, { text: string }>;

function mentionOf(text: string): Shown {
  return { kind: "mention", text, name: text.slice(1) };
}

/** A link without the punctuation that ends a sentence; null when it is no address. */
function linkOf(raw: string): Shown | null {
  let text = raw.replace(/[.,;:!?'*]+$/, "");
  if (text.endsWith(")") && !text.includes("(")) text = text.slice(0, -1);
  try {
    const { href, username, password } = new URL(text);
    return username === "" && password === "" ? { kind: "link", text, href } : null;
  } catch {
    return null;
  }
}

/** Whether a text names somebody after an @, whatever the case. */
export function mentions(message: ChatMessage, username: string): boolean {
  if (username === "" || !message.message.includes("@")) return false;
  const name = username.toLowerCase();
  return wordsOf(message.message).some((part) => part.kind === "mention" && part.name.toLowerCase() === name);
}
