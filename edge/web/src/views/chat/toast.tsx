import type { ChatRoom } from "../../chat/room";

/** What was just done, with a way back where there is one. */
export function Toast(props: { readonly room: ChatRoom }) {
  const { desk } = props.room;
  const toast = desk.toast.value;
  return (
    <div class="chat-toast-place" role="status">
      {toast !== null && (
        <p class="chat-toast" data-failed={toast.failed} data-testid="chat-toast">
          <span>{toast.text}</span>
          {toast.undo !== null && (
            <button
              type="button"
              class="link"
              onClick={() => {
                toast.undo?.();
              }}
            >
              Undo
            </button>
          )}
        </p>
      )}
    </div>
  );
}
