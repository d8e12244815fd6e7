import { useSignal } from "@preact/signals";
import { CheckIcon, CopyIcon } from "./icons";

const SHOWN_MS = 2000;

/** Puts a text on the clipboard and says so. */
export function CopyButton(props: { readonly text: () => string; readonly label: string }) {
  const outcome = useSignal<"" | "Copied" | "Select and copy by hand">("");

  async function copy() {
    try {
      await navigator.clipboard.writeText(props.text());
      outcome.value = "Copied";
    } catch {
      outcome.value = "Select and copy by hand";
    }
    setTimeout(() => {
      outcome.value = "";
    }, SHOWN_MS);
  }

  return (
    <button type="button" class="button quiet" onClick={copy}>
      {outcome.value === "Copied" ? <CheckIcon /> : <CopyIcon />}
      <span aria-live="polite">{outcome.value || props.label}</span>
    </button>
  );
}
