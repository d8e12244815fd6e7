/** The keys of the watch page. */

export type Command =
  | "toggle_play"
  | "back"
  | "forward"
  | "step_back"
  | "step_forward"
  | "louder"
  | "quieter"
  | "mute"
  | "full_screen"
  | "captions"
  | "theatre"
  | "pip"
  | "stats"
  | "help";

const KEYS: Readonly<Record<string, Command>> = {
  " ": "toggle_play",
  k: "toggle_play",
  j: "back",
  l: "forward",
  ArrowLeft: "step_back",
  ArrowRight: "step_forward",
  ArrowUp: "louder",
  ArrowDown: "quieter",
  m: "mute",
  f: "full_screen",
  c: "captions",
  t: "theatre",
  i: "pip",
  s: "stats",
  "?": "help",
};

/** For the help overlay, in its order. */
export const KEY_HELP: readonly (readonly [keys: string, does: string])[] = [
  ["Space, k", "Play or pause"],
  ["j, l", "Back or forward 10 s"],
  ["Left, Right", "Back or forward 5 s"],
  ["Up, Down", "Louder or quieter"],
  ["m", "Sound on or off"],
  ["c", "Captions"],
  ["f", "Full screen"],
  ["t", "Theatre"],
  ["i", "Picture in picture"],
  ["h", "Chat"],
  ["s", "Stats"],
  ["?", "These keys"],
];

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  /** Lower case tag name of what has the focus; of inputs that are not written in, their type. */
  readonly focus: string;
}

const TYPING = new Set(["input", "textarea", "select"]);
const PRESSING = new Set(["button", "a", "summary", "checkbox"]);

const NOT_WRITTEN_IN = new Set(["range", "checkbox"]);

/** What has the focus, as a key press tells it. */
export function focusOf(element: Element | null): string {
  if (element instanceof HTMLInputElement && NOT_WRITTEN_IN.has(element.type)) return element.type;
  return element?.tagName.toLowerCase() ?? "";
}

/** The command of a key press; null when the key belongs to what has the focus, or to the browser. */
export function commandOf(press: KeyPress): Command | null {
  if (press.ctrlKey || press.metaKey || press.altKey || TYPING.has(press.focus)) return null;
  if (press.key === " " && PRESSING.has(press.focus)) return null;
  if (press.focus === "range" && press.key.startsWith("Arrow")) return null;
  return KEYS[press.key] ?? KEYS[press.key.toLowerCase()] ?? null;
}
