import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";

interface LaterProps {
  /** Fetches the view's code. */
  readonly load: () => Promise<ComponentType>;
  readonly name: string;
}

/** A view whose code is fetched when somebody goes there. */
export function Later(props: LaterProps) {
  const view = useSignal<ComponentType | null>(null);
  const failed = useSignal(false);
  const { load } = props;
  useEffect(() => {
    load().then(
      (loaded) => {
        view.value = loaded;
      },
      () => {
        failed.value = true;
      },
    );
  }, [load, view, failed]);
  const View = view.value;
  if (View !== null) return <View />;
  if (failed.value) {
    return (
      <section class="message-page" role="status">
        <h1>{props.name} could not be loaded</h1>
        <p>The server does not answer, or has newer pages by now. Load this page again.</p>
        <button type="button" class="button" onClick={() => window.location.reload()}>
          Load again
        </button>
      </section>
    );
  }
  return (
    <section class="message-page" role="status" aria-busy="true" aria-label={`Loading ${props.name}`}>
      <span class="bone wide skeleton" />
      <span class="bone skeleton" />
    </section>
  );
}
