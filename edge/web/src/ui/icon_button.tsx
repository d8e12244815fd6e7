import type { ComponentChildren } from "preact";

interface IconButtonProps {
  readonly label: string;
  /** Key that does the same, shown in the tooltip. */
  readonly shortcut?: string;
  readonly onClick: () => void;
  readonly children: ComponentChildren;
  readonly pressed?: boolean;
  readonly expanded?: boolean;
  /** Kind of what it opens. */
  readonly popup?: "dialog";
  readonly testid?: string;
  readonly class?: string;
}

/** A button that shows an icon and says its purpose. */
export function IconButton(props: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${props.class ?? ""}`}
      aria-label={props.label}
      title={props.shortcut === undefined ? props.label : `${props.label} (${props.shortcut})`}
      aria-pressed={props.pressed}
      aria-expanded={props.expanded}
      aria-haspopup={props.popup}
      data-testid={props.testid}
      onClick={props.onClick}
    >
      {props.children}
    </button>
  );
}
