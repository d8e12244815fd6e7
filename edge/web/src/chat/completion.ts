import type { Command } from "./api";

/** What can be completed at the cursor. */

export interface Suggestion {
  /** What is put into the text. */
  readonly insert: string;
  readonly label: string;
  readonly detail: string;
  readonly kind: "emote" | "emoji" | "user" | "command";
}

export interface Completion {
  /** UTF-16 offsets of the word that a suggestion replaces. */
  readonly start: number;
  readonly end: number;
  readonly suggestions: readonly Suggestion[];
}

export interface Sources {
  readonly emotes: readonly string[];
  /** Emoji by their names. */
  readonly emoji: readonly (readonly [name: string, glyph: string])[];
  /** Names, those who wrote last first. */
  readonly users: readonly string[];
  readonly commands: readonly Command[];
}

const SHOWN = 7;
const NONE: Completion = { start: 0, end: 0, suggestions: [] };

/** Suggestions for ":name", "@name" and, at the beginning of the text, "/command". */
export function complete(text: string, cursor: number, sources: Sources): Completion {
  const found = /(^|\s)([:@/])([\w-]*)$/.exec(text.slice(0, cursor));
  if (found === null) return NONE;
  const sign = found[2] ?? "";
  const asked = (found[3] ?? "").toLowerCase();
  const start = cursor - asked.length - 1;
  if (sign === "/" ? start !== 0 : sign === ":" && asked.length < 2) return NONE;
  const suggestions = SUGGEST[sign]?.(asked, sources) ?? [];
  return { start, end: cursor, suggestions: suggestions.slice(0, SHOWN) };
}

const SUGGEST: Readonly<Record<string, (asked: string, sources: Sources) => readonly Suggestion[]>> = {
  ":": (asked, { emotes, emoji }) => [
    ...ranked(emotes, asked).map((name) => suggestion(`${name} `, name, "", "emote")),
    ...emoji
      .filter(([name]) => name.startsWith(asked))
      .map(([name, glyph]) => suggestion(`${glyph} `, name, glyph, "emoji")),
  ],
  "@": (asked, { users }) => ranked(users, asked).map((name) => suggestion(`@${name} `, name, "", "user")),
  "/": (asked, { commands }) =>
    commands
      .filter((command) => command.name.startsWith(asked))
      .map((command) => {
        const text = `/${command.name}${command.form.length === 0 ? "" : " "}`;
        return suggestion(text, usage(command), command.help, "command");
      }),
};

function suggestion(insert: string, label: string, detail: string, kind: Suggestion["kind"]): Suggestion {
  return { insert, label, detail, kind };
}

/** Names that contain what was typed, those that begin with it first. */
export function ranked(names: readonly string[], asked: string): readonly string[] {
  const lower = asked.toLowerCase();
  const begins = names.filter((name) => name.toLowerCase().startsWith(lower));
  const contains = names.filter((name) => name.toLowerCase().indexOf(lower) > 0);
  return [...begins, ...contains];
}

/** "/timeout user [time] [reason]" */
export function usage(command: Command): string {
  return [`/${command.name}`, ...command.form].join(" ");
}

/** The command that is being written, once its name is complete. */
export function commandIn(text: string, commands: readonly Command[]): Command | null {
  const name = /^\/([a-z]+)(\s|$)/i.exec(text)?.[1]?.toLowerCase();
  return commands.find((command) => command.name === name) ?? null;
}

export function applied(text: string, completion: Completion, suggestion: Suggestion): string {
  return text.slice(0, completion.start) + suggestion.insert + text.slice(completion.end);
}
