import type { Suggestion } from "../../chat/completion";
import { EmotePicture } from "./pieces";

interface SuggestionsProps {
  readonly suggestions: readonly Suggestion[];
  readonly chosen: number;
  readonly onChoose: (suggestion: Suggestion) => void;
}

/** What the word at the cursor can become. The field keeps the focus and chooses. */
export function Suggestions(props: SuggestionsProps) {
  const { suggestions, chosen } = props;
  if (suggestions.length === 0) return null;
  return (
    <div
      id="chat-suggestions"
      class="suggestions"
      role="listbox"
      aria-label="Suggestions"
      data-testid="chat-suggestions"
    >
      {suggestions.map((suggestion, index) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the focus, and its keys choose
        // biome-ignore lint/a11y/useFocusableInteractive: the field has the focus
        <div
          key={suggestion.label}
          id={`chat-suggestion-${index}`}
          role="option"
          aria-selected={index === chosen}
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => props.onChoose(suggestion)}
        >
          {suggestion.kind === "emote" && <EmotePicture name={suggestion.label} />}
          <span class="suggestion-label">{suggestion.label}</span>
          {suggestion.detail !== "" && <span class="suggestion-detail">{suggestion.detail}</span>}
        </div>
      ))}
    </div>
  );
}
