interface SwitchProps {
  readonly label: string;
  readonly hint?: string;
  readonly on: boolean;
  readonly onChange: (on: boolean) => void;
  readonly testid?: string;
}

/** A check box that looks like a switch. */
export function Switch(props: SwitchProps) {
  return (
    <label class="setting">
      <span class="setting-words">
        <span>{props.label}</span>
        {props.hint !== undefined && props.hint !== "" && <small>{props.hint}</small>}
      </span>
      <input
        type="checkbox"
        role="switch"
        aria-checked={props.on}
        class="switch"
        checked={props.on}
        data-testid={props.testid}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
    </label>
  );
}
