import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { applied, type Completion, complete, type Sources, type Suggestion } from "./completion";

const NOTHING: Completion = { start: 0, end: 0, suggestions: [] };

/** A message that is being written, and what the word at the cursor can become. */
export class Draft {
  readonly text = signal("");
  /** Of the suggestions the one that Tab takes. */
  readonly chosen = signal(0);
  readonly completion: ReadonlySignal<Completion>;
  private readonly cursor = signal(0);
  private readonly dismissed = signal(true);

  constructor(text: string, sources: () => Sources) {
    this.text.value = text;
    this.completion = computed(() =>
      this.dismissed.value ? NOTHING : complete(this.text.value, this.cursor.value, sources()),
    );
  }

  write(text: string, cursor: number): void {
    this.text.value = text;
    this.cursor.value = cursor;
    this.dismissed.value = false;
    this.chosen.value = 0;
  }

  /** Puts a word at a place, apart from the one before it; where the cursor stands then. */
  insert(word: string, at: number): number {
    const before = this.text.value.slice(0, at);
    const spaced = `${before === "" || /\s$/.test(before) ? "" : " "}${word} `;
    const cursor = at + spaced.length;
    this.write(before + spaced + this.text.value.slice(at), cursor);
    return cursor;
  }

  /** Takes a suggestion; where the cursor stands then. */
  accept(suggestion: Suggestion): number {
    const completion = this.completion.value;
    const cursor = completion.start + suggestion.insert.length;
    this.write(applied(this.text.value, completion, suggestion), cursor);
    return cursor;
  }

  dismiss(): void {
    this.dismissed.value = true;
  }

  /** What a key does while there are suggestions: null when it is not for them, else the one that it takes. */
  key(key: string): { readonly taken: Suggestion | null } | null {
    const { suggestions, start, end } = this.completion.value;
    const suggestion = suggestions[this.chosen.value];
    if (suggestion === undefined) return null;
    const step = { ArrowDown: 1, ArrowUp: suggestions.length - 1 }[key];
    const whole = this.text.value.slice(start, end) === suggestion.insert.trim();
    if (key === "Tab" || (key === "Enter" && !whole)) return { taken: suggestion };
    if (step !== undefined) this.chosen.value = (this.chosen.value + step) % suggestions.length;
    else if (key === "Escape") this.dismiss();
    else return null;
    return { taken: null };
  }
}
