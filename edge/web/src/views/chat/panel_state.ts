import { signal } from "@preact/signals";
import type { Person, Self } from "../../chat/actions";
import { rankOfBadges } from "../../chat/badges";
import type { ChatMessage } from "../../chat/messages";
import type { ChatRoom } from "../../chat/room";
import { readSetting, writeSetting } from "../../lib/storage";
import { Scroller } from "./scroller";

/** What lies over the list. */
export type Sheet = "people" | "moderation" | null;

/** How the panel of one room stands. */
export class PanelState {
  readonly sheet = signal<Sheet>(null);
  readonly folded = signal(readSetting("chat-folded") === "1");
  /** The message whose menu is open, and where, pixels from the panel's upper edge. */
  readonly menu = signal<{ readonly message: ChatMessage; readonly top: number } | null>(null);
  /** Whose card is open. */
  readonly card = signal<Person | null>(null);
  readonly scroller: Scroller;

  constructor(readonly room: ChatRoom) {
    this.scroller = new Scroller(room);
  }

  fold(folded: boolean): void {
    this.folded.value = folded;
    writeSetting("chat-folded", folded ? "1" : null);
  }

  openMenu(message: ChatMessage, top: number): void {
    this.scroller.pause("menu");
    this.menu.value = { message, top };
  }

  /** Closes the menu; the focus goes back to its message. */
  closeMenu(back: boolean): void {
    const menu = this.menu.peek();
    if (menu === null) return;
    this.menu.value = null;
    if (back) this.scroller.focus(menu.message.messageId);
    this.scroller.goOn("menu");
  }

  openCard(person: Person): void {
    this.card.value = person;
    if (this.room.desk.moderates.peek()) void this.room.desk.refresh();
  }

  reply(message: ChatMessage): void {
    this.room.replyTo.value = message;
    document.querySelector<HTMLTextAreaElement>('.composer textarea[name="message"]')?.focus();
  }

  get self(): Self {
    return { userId: this.room.user.value?.userId ?? "", rank: this.room.desk.rank.value };
  }

  /** The author of a message, with what is known of them. */
  personOf(message: ChatMessage): Person {
    const { userId, username, badges } = message;
    return this.known({ userId, username, rank: rankOfBadges(badges), restriction: "" });
  }

  /** A person with the role and the restriction that the room knows. */
  known(person: Person): Person {
    const member = this.room.desk.members.value.find((one) => one.userId === person.userId);
    if (member === undefined) return person;
    const over = member.restriction === "timeout" && member.untilMs < Date.now();
    const restriction = over ? "" : member.restriction;
    if (person.rank === "owner") return { ...person, restriction };
    const rank = member.role === "moderator" || member.role === "vip" ? member.role : "viewer";
    return { ...person, rank, restriction };
  }
}
