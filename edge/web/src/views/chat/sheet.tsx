import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { IconButton } from "../../ui/icon_button";
import { CloseIcon } from "../../ui/icons";
import type { PanelState } from "./panel_state";

interface SheetProps {
  readonly panel: PanelState;
  readonly title: string;
  readonly testid: string;
  readonly children: ComponentChildren;
}

/** Lies over the list of messages; Escape closes it. */
export function PanelSheet(props: SheetProps) {
  const { panel, title } = props;
  const sheet = useRef<HTMLElement>(null);
  useEffect(() => sheet.current?.focus(), []);
  const close = () => {
    panel.sheet.value = null;
  };
  return (
    <section
      ref={sheet}
      class="chat-sheet"
      aria-label={title}
      data-testid={props.testid}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        close();
      }}
    >
      <div class="chat-sheet-head">
        <h3>{title}</h3>
        <IconButton label="Close" onClick={close}>
          <CloseIcon />
        </IconButton>
      </div>
      {props.children}
    </section>
  );
}
