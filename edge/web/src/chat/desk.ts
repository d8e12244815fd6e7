import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Action, ChatApi, Chatters, Command, Member, RoomState } from "./api";
import { atLeast, type Rank, rankOfBadges } from "./badges";
import { errorSentence } from "./errors";
import type { ChatEvent } from "./events";
import type { ChatUser } from "./frames";
import type { ChatMessage } from "./messages";
import { type Modes, USUAL_MODES } from "./modes";

/** How fetching something stands. */
export type Fetched = "idle" | "loading" | "ready" | "failed";

/** What was done, or why it was not; shown for a moment. */
export interface Toast {
  readonly text: string;
  readonly failed: boolean;
  readonly undo: (() => void) | null;
  /** Unix milliseconds. */
  readonly until: number;
}

const HELD_LIMIT = 200;
const TOAST_MS = 8000;

/** What holds in a room and what its moderators do there. */
export class Desk {
  readonly modes = signal<Modes>(USUAL_MODES);
  readonly pin = signal<ChatMessage | null>(null);
  readonly emotes = signal<RoomState["emotes"]>({ global: [], channel: [] });
  readonly emotesFetched = signal<Fetched>("idle");
  readonly commands = signal<readonly Command[]>([]);
  readonly members = signal<readonly Member[]>([]);
  readonly held = signal<readonly ChatEvent[]>([]);
  readonly heldFetched = signal<Fetched>("idle");
  readonly chatters = signal<Chatters | null>(null);
  readonly chattersFetched = signal<Fetched>("idle");
  readonly toast = signal<Toast | null>(null);
  readonly rank: ReadonlySignal<Rank>;
  readonly moderates: ReadonlySignal<boolean>;
  private readonly told = signal<Rank>("viewer");
  private version = 0;

  constructor(
    private readonly api: ChatApi,
    private readonly user: ReadonlySignal<ChatUser | null>,
  ) {
    this.rank = computed(() => {
      const user = this.user.value;
      if (user === null) return "viewer";
      const shown = user.moderator ? "moderator" : rankOfBadges(user.badges);
      return atLeast(this.told.value, shown) ? this.told.value : shown;
    });
    this.moderates = computed(() => atLeast(this.rank.value, "moderator"));
  }

  /** The connection told who we are: reads what else holds. */
  async refresh(): Promise<void> {
    this.version += 1;
    const { version } = this;
    const answer = await this.api.state();
    if (version !== this.version) return;
    this.emotesFetched.value = answer.ok ? "ready" : "failed";
    if (answer.ok) this.take(answer.value);
    if (this.moderates.peek()) await this.loadHeld();
    else this.held.value = [];
  }

  private take(state: RoomState): void {
    this.modes.value = state.modes;
    this.pin.value = state.pin;
    this.emotes.value = state.emotes;
    this.commands.value = state.commands;
    this.members.value = state.members;
    this.told.value = state.rank;
  }

  /** Somebody else, or nobody, is here: nothing that was told to the one before holds. */
  forget(): void {
    this.emotesFetched.value = "idle";
    this.told.value = "viewer";
    this.commands.value = [];
    this.members.value = [];
    this.held.value = [];
    this.heldFetched.value = "idle";
  }

  async loadHeld(): Promise<void> {
    this.heldFetched.value = "loading";
    const answer = await this.api.held();
    this.heldFetched.value = answer.ok ? "ready" : "failed";
    if (answer.ok) this.held.value = answer.value.slice(-HELD_LIMIT);
  }

  async loadChatters(): Promise<void> {
    if (this.chatters.peek() === null) this.chattersFetched.value = "loading";
    const answer = await this.api.chatters();
    this.chattersFetched.value = answer.ok ? "ready" : "failed";
    if (answer.ok) this.chatters.value = answer.value;
  }

  /** An event of the room that changes what holds. */
  happened(event: ChatEvent): void {
    const id = event.messageIds[0];
    if (event.modes !== null && event.event === "mode") this.modes.value = event.modes;
    else if (event.event === "pin") this.pin.value = event.message;
    else if (event.event === "unpin") this.pin.value = null;
    else if (event.event === "held") this.held.value = [...this.without(id), event].slice(-HELD_LIMIT);
    else if (event.event === "approve" || event.event === "deny") this.held.value = this.without(id);
  }

  private without(id: string | undefined): readonly ChatEvent[] {
    return this.held.value.filter((one) => one.messageIds[0] !== id);
  }

  /** Does something as a moderator, and says so; whether it was done. */
  async act(action: Action, done: string, undo: Action | null = null): Promise<boolean> {
    const answer = await this.api.moderate(action);
    if (!answer.ok) {
      const { code, detail, retryAfterS } = answer.problem;
      this.say(errorSentence(code, detail, retryAfterS), true);
      return false;
    }
    this.say(done, false, undo === null ? null : () => void this.act(undo, "Undone."));
    return true;
  }

  /** Approves or denies a message that waits; it leaves the queue at once. */
  async decide(event: ChatEvent, approve: boolean): Promise<void> {
    const id = event.messageIds[0];
    if (id === undefined) return;
    this.held.value = this.without(id);
    const words = approve ? "Shown to everybody." : "Not shown.";
    const done = await this.act({ action: approve ? "approve" : "deny", message_id: id }, words);
    if (!done) await this.loadHeld();
  }

  say(text: string, failed: boolean, undo: (() => void) | null = null): void {
    this.toast.value = text === "" ? null : { text, failed, undo, until: Date.now() + TOAST_MS };
  }

  /** Ends what is shown for a moment only. */
  tick(now: number): void {
    const toast = this.toast.peek();
    if (toast !== null && toast.until <= now) this.toast.value = null;
  }
}
