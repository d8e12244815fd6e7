import { isFields, numberOf, textOf } from "../api/types";
import { type Rank, rankOf } from "./badges";
import { type ChatEvent, readEvent } from "./events";
import { type ChatMessage, listOf, readMessage, readMessages, textsOf } from "./messages";
import { type Modes, readModes } from "./modes";

/** The chat over plain HTTP: history, state, who is here, what moderators do. */

const TIMEOUT_MS = 8000;

export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly retryAfterS: number;
}

export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: Problem };

export interface Page {
  readonly messages: readonly ChatMessage[];
  /** Follows the newest of them. */
  readonly position: string;
  /** Asks for what is older than the oldest of them. */
  readonly before: string;
}

/** A slash command: `form` names the words that follow it. */
export interface Command {
  readonly name: string;
  readonly form: readonly string[];
  readonly help: string;
}

export interface Member {
  readonly userId: string;
  readonly username: string;
  readonly role: string;
  readonly restriction: string;
  readonly untilMs: number;
}

/** What holds in a room. The last two are told to those who may know. */
export interface RoomState {
  readonly modes: Modes;
  readonly pin: ChatMessage | null;
  readonly emotes: { readonly global: readonly string[]; readonly channel: readonly string[] };
  readonly rank: Rank;
  readonly commands: readonly Command[];
  readonly members: readonly Member[];
}

export interface Chatter {
  readonly userId: string;
  readonly username: string;
  readonly rank: Rank;
}

export interface Chatters {
  /** Open connections, guests among them. */
  readonly connections: number;
  /** Users who have said who they are; the list may be shorter. */
  readonly count: number;
  readonly chatters: readonly Chatter[];
}

export interface Action {
  readonly action: string;
  readonly target?: string;
  readonly message_id?: string;
  readonly seconds?: number;
  readonly reason?: string;
  readonly text?: string;
  readonly value?: number | boolean | string;
}

export class ChatApi {
  private readonly base: string;

  constructor(
    channel: string,
    private readonly token: () => string | null,
  ) {
    this.base = `/chat/${encodeURIComponent(channel)}`;
  }

  history(query: Readonly<Record<string, string>>): Promise<Answer<Page>> {
    return this.ask(`/chat?${new URLSearchParams(query)}`, readPage);
  }

  state(): Promise<Answer<RoomState>> {
    return this.ask("/state", readState);
  }

  chatters(): Promise<Answer<Chatters>> {
    return this.ask("/chatters", readChatters);
  }

  held(): Promise<Answer<readonly ChatEvent[]>> {
    return this.ask("/held", (fields) =>
      listOf(fields.held, (one) => (isFields(one) ? readEvent(one) : null)),
    );
  }

  moderate(action: Action): Promise<Answer<string>> {
    return this.ask("/moderate", (fields) => textOf(fields.event_id), action);
  }

  private async ask<T>(path: string, read: (fields: Fields) => T, body?: object): Promise<Answer<T>> {
    const token = this.token();
    const headers: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    try {
      const response = await fetch(this.base + path, {
        headers,
        cache: "no-store",
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      });
      const found: unknown = await response.json();
      if (!isFields(found)) return UNREACHABLE;
      return response.ok ? { ok: true, value: read(found) } : refusal(found, response);
    } catch {
      return UNREACHABLE;
    }
  }
}

type Fields = Readonly<Record<string, unknown>>;

const UNREACHABLE = {
  ok: false,
  problem: { code: "unreachable", detail: "", retryAfterS: 0 },
} as const;

function refusal(fields: Fields, response: Response): Answer<never> {
  const retryAfterS = Number(response.headers.get("retry-after") ?? 0) || 0;
  return { ok: false, problem: { code: textOf(fields.code), detail: textOf(fields.detail), retryAfterS } };
}

function readPage(fields: Fields): Page {
  return {
    messages: readMessages(fields.messages),
    position: textOf(fields.position),
    before: textOf(fields.before),
  };
}

export function readState(fields: Fields): RoomState {
  const emotes = isFields(fields.emotes) ? fields.emotes : {};
  return {
    modes: readModes(fields.modes),
    pin: readMessage(fields.pin),
    emotes: { global: textsOf(emotes.global), channel: textsOf(emotes.channel) },
    rank: rankOf(fields.rank),
    commands: listOf(fields.commands, readCommand),
    members: listOf(fields.members, readMember),
  };
}

function readCommand(value: unknown): Command | null {
  if (!isFields(value) || textOf(value.name) === "") return null;
  return { name: textOf(value.name), form: textsOf(value.form), help: textOf(value.help) };
}

function readMember(value: unknown): Member | null {
  if (!isFields(value)) return null;
  return {
    userId: textOf(value.user_id),
    username: textOf(value.username),
    role: textOf(value.role),
    restriction: textOf(value.restriction),
    untilMs: numberOf(value.until_ms) ?? 0,
  };
}

function readChatters(fields: Fields): Chatters {
  return {
    connections: numberOf(fields.connections) ?? 0,
    count: numberOf(fields.count) ?? 0,
    chatters: listOf(fields.chatters, readChatter),
  };
}

function readChatter(value: unknown): Chatter | null {
  if (!isFields(value) || textOf(value.user_id) === "") return null;
  const userId = textOf(value.user_id);
  return { userId, username: textOf(value.username) || userId, rank: rankOf(value.rank) };
}
