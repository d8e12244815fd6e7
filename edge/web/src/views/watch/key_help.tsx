import { useEffect, useRef } from "preact/hooks";
import { KEY_HELP } from "../../player/shortcuts";
import { IconButton } from "../../ui/icon_button";
import { CloseIcon } from "../../ui/icons";

export function KeyHelp(props: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} class="sheet key-help" aria-label="Keyboard shortcuts" onClose={props.onClose}>
      <div class="sheet-head">
        <h2>Keyboard shortcuts</h2>
        <IconButton label="Close" onClick={() => dialog.current?.close()}>
          <CloseIcon />
        </IconButton>
      </div>
      <dl>
        {KEY_HELP.map(([keys, does]) => (
          <div key={keys}>
            <dt>
              {keys.split(", ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
