import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import type { PanelState } from "./panel_state";
import { PanelSheet } from "./sheet";

type Sheet = ComponentType<{ readonly panel: PanelState }>;

/** What only moderators have, fetched when one of them wants it. */
export function ModerationLater(props: { readonly panel: PanelState }) {
  const view = useSignal<Sheet | null>(null);
  const failed = useSignal(false);
  useEffect(() => {
    import("./moderation").then(
      (module) => {
        view.value = module.ModerationSheet;
      },
      () => {
        failed.value = true;
      },
    );
  }, [view, failed]);
  const View = view.value;
  if (View !== null) return <View panel={props.panel} />;
  return (
    <PanelSheet panel={props.panel} title="Moderation" testid="chat-moderation-loading">
      {failed.value ? (
        <p class="chat-sheet-note" role="status">
          This could not be fetched: the server does not answer, or has newer pages by now. Load this page
          again.
        </p>
      ) : (
        <div class="chat-bones skeleton" role="status" aria-label="Loading">
          <span class="bone" />
          <span class="bone wide" />
        </div>
      )}
    </PanelSheet>
  );
}
