import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Doing, mayActOn, onMessage, onPerson, roles } from "../../chat/actions";
import type { ChatMessage } from "../../chat/messages";
import { formatClock } from "../../lib/format";
import type { PanelState } from "./panel_state";

interface MenuProps {
  readonly panel: PanelState;
  readonly message: ChatMessage;
  readonly top: number;
}

/** What can be done with a message, below it or above where there is no space. */
export function MessageMenu(props: MenuProps) {
  const { panel, message } = props;
  const { desk, user } = panel.room;
  const menu = useRef<HTMLDivElement>(null);
  const person = panel.personOf(message);
  useMenu(menu, props.top, (back) => panel.closeMenu(back));

  function choose(work: () => void, back: boolean) {
    panel.closeMenu(back);
    work();
  }
  const does = (doing: Doing) => (
    <Item
      key={doing.label}
      grave={doing.grave}
      onChoose={() => choose(() => void desk.act(doing.action, doing.done, doing.undo), true)}
    >
      {doing.label}
    </Item>
  );
  const restrictions = onPerson(panel.self, person);
  return (
    <div ref={menu} class="chat-menu" data-testid="chat-menu">
      <p class="chat-menu-head">
        <bdi>{message.username}</bdi>
        {message.timestamp > 0 && <span class="number">{formatClock(message.timestamp)}</span>}
      </p>
      <div role="menu" aria-label={`Message of ${message.username}`}>
        {user.value !== null && <Item onChoose={() => choose(() => panel.reply(message), false)}>Reply</Item>}
        <Item onChoose={() => choose(() => panel.openCard(person), false)}>About {message.username}</Item>
        {onMessage(panel.self, message.messageId).map(does)}
        {restrictions.length > 0 && <hr class="chat-menu-line" />}
        {restrictions.map(does)}
        {mayActOn(panel.self, person) && (
          <Item onChoose={() => choose(() => panel.openCard(person), false)}>Another timeout</Item>
        )}
        {roles(panel.self, person).map(does)}
      </div>
    </div>
  );
}

interface ItemProps {
  readonly grave?: boolean;
  readonly onChoose: () => void;
  readonly children: ComponentChildren;
}

function Item(props: ItemProps) {
  return (
    <button
      type="button"
      role="menuitem"
      class="chat-item"
      data-grave={props.grave}
      tabIndex={-1}
      onClick={props.onChoose}
    >
      {props.children}
    </button>
  );
}

/** Places a menu, gives it the focus and the keys of a menu, and closes it when something else is wanted. */
function useMenu(
  menu: { readonly current: HTMLDivElement | null },
  top: number,
  close: (back: boolean) => void,
): void {
  useLayoutEffect(() => {
    const element = menu.current;
    if (element === null) return;
    const space = element.parentElement?.clientHeight ?? 0;
    const fits = Math.max(0, space - element.offsetHeight - 8);
    element.style.setProperty("--menu-top", `${Math.min(top, fits)}px`);
    items(element)[0]?.focus();
  }, [menu, top]);
  useEffect(() => {
    const element = menu.current;
    if (element === null) return;
    const pressed = (event: KeyboardEvent) => {
      const all = items(element);
      const at = all.findIndex((item) => item.matches(":focus"));
      const to = targetOf(event.key, at, all.length);
      if (to === null && event.key !== "Escape" && event.key !== "Tab") return;
      event.preventDefault();
      event.stopPropagation();
      if (to === null) close(true);
      else all[to]?.focus();
    };
    const outside = (event: PointerEvent) => {
      if (event.target instanceof Node && !element.contains(event.target)) close(false);
    };
    element.addEventListener("keydown", pressed);
    document.addEventListener("pointerdown", outside);
    return () => {
      element.removeEventListener("keydown", pressed);
      document.removeEventListener("pointerdown", outside);
    };
  });
}

function items(element: HTMLElement): readonly HTMLElement[] {
  return [...element.querySelectorAll<HTMLElement>('[role="menuitem"]')];
}

/** Which item a key goes to; null when it is no such key. */
function targetOf(key: string, at: number, count: number): number | null {
  if (key === "ArrowDown") return (at + 1) % count;
  if (key === "ArrowUp") return (at - 1 + count) % count;
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}
