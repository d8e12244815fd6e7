import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { embedCode, pageAddress } from "../../lib/embed_address";
import { formatExactClock } from "../../lib/format";
import type { WatchSession } from "../../player/watch_session";
import { CopyButton } from "../../ui/copy_button";
import { IconButton } from "../../ui/icon_button";
import { CloseIcon, ShareIcon } from "../../ui/icons";
import { Switch } from "../../ui/switch";

interface ShareProps {
  readonly channel: string;
  readonly title: string;
  readonly session: WatchSession | null;
}

/** A button and its dialog: the page's address, and the HTML that shows the player elsewhere. */
export function Share(props: ShareProps) {
  const open = useSignal(false);
  return (
    <>
      <button
        type="button"
        class="button quiet"
        aria-haspopup="dialog"
        aria-label="Share"
        data-testid="share"
        onClick={() => {
          open.value = true;
        }}
      >
        <ShareIcon />
        <span>Share</span>
      </button>
      {open.value && (
        <ShareDialog
          {...props}
          onClose={() => {
            open.value = false;
          }}
        />
      )}
    </>
  );
}

function ShareDialog(props: ShareProps & { readonly onClose: () => void }) {
  const { channel, session } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const chat = useSignal(false);
  const fromHere = useSignal(false);
  const place = useSignal(momentOf(session));
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const { origin } = window.location;
  const address = pageAddress(origin, channel, fromHere.value ? place.value : null);
  const code = embedCode(origin, channel, chat.value);
  return (
    <dialog
      ref={dialog}
      class="dialog share"
      aria-label="Share"
      data-testid="share-dialog"
      onClose={props.onClose}
    >
      <div class="sheet-head">
        <h2>
          Share <bdi>{props.title}</bdi>
        </h2>
        <IconButton label="Close" onClick={() => dialog.current?.close()}>
          <CloseIcon />
        </IconButton>
      </div>
      <Field label="Link" text={address} />
      {place.value !== null && (
        <Switch
          label={`Start at ${formatExactClock(place.value)}`}
          hint="As long as that moment can still be rewound to."
          on={fromHere.value}
          onChange={(on) => {
            fromHere.value = on;
          }}
        />
      )}
      <Field label="Code for another site" text={code} />
      <Switch
        label="With chat"
        on={chat.value}
        onChange={(on) => {
          chat.value = on;
        }}
      />
      {navigator.share !== undefined && (
        <button
          type="button"
          class="button"
          onClick={() => navigator.share({ title: props.title, url: address }).catch(() => {})}
        >
          Send with an app
        </button>
      )}
    </dialog>
  );
}

/** The moment that is shown, when that is not live, Unix milliseconds. */
function momentOf(session: WatchSession | null): number | null {
  const player = session?.player;
  return player?.behind.value ? player.clockAt(player.video.currentTime) : null;
}

function Field(props: { readonly label: string; readonly text: string }) {
  return (
    <div class="share-field">
      <span class="share-label">{props.label}</span>
      <span class="copyable">
        <code>{props.text}</code>
        <CopyButton text={() => props.text} label="Copy" />
      </span>
    </div>
  );
}
