import { effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { askForGrant, type GrantAnswer, renewGrant } from "../api/grants";
import type { Access } from "../api/types";
import { backoffMs } from "../lib/backoff";

/** Why somebody may not watch. */
export type Refusal = "no_token" | "bad_token" | "followers" | "subscribers" | "other";

/** Whether this viewer may watch. `prefix` stands before every path of the channel's media. */
export type Admitted =
  | { readonly phase: "unknown" }
  | { readonly phase: "asking" }
  | { readonly phase: "admitted"; readonly prefix: string }
  | { readonly phase: "refused"; readonly why: Refusal; readonly detail: string };

/** What admission asks of the world; times in milliseconds. */
export interface Desk {
  ask(token: string): Promise<GrantAnswer>;
  renew(grant: string): Promise<GrantAnswer>;
  clock(): number;
  /** Calls later; the result calls it off. */
  later(task: () => void, ms: number): () => void;
}

const OPEN: Admitted = { phase: "admitted", prefix: "" };
/** A grant is renewed when a third of its time is left, at the latest a minute before its end, milliseconds. */
const EARLY_MS = 60_000;
/** Somebody who is refused may follow or subscribe elsewhere: the page looks again so often, milliseconds. */
const AGAIN_MS = 10_000;
const AWAY = { firstMs: 1000, limitMs: 15_000 };
/** Players in trouble ask for a check; not more often than this, milliseconds. */
const CHECK_MS = 2000;

/** Gets a grant where a channel needs one, and keeps it good for as long as the page is open. */
export class Admission {
  private readonly now = signal<Admitted>({ phase: "unknown" });
  private access: Access | null = null;
  private grant = "";
  private turn = 0;
  private failures = 0;
  private checkedAt = Number.NEGATIVE_INFINITY;
  private callOff: () => void = () => {};
  private readonly stop: () => void;

  constructor(
    private readonly token: ReadonlySignal<string | null>,
    private readonly desk: Desk,
  ) {
    this.stop = effect(() => {
      const token = this.token.value;
      untracked(() => this.tokenChanged(token));
    });
  }

  get state(): ReadonlySignal<Admitted> {
    return this.now;
  }

  /** Who may watch, as the channel's status says. */
  need(access: Access): void {
    if (access === this.access) return;
    this.access = access;
    this.begin();
  }

  /** The player has trouble: finds out whether that is because the grant lost its force. */
  check(): void {
    if (this.grant === "" || this.desk.clock() - this.checkedAt < CHECK_MS) return;
    this.checkedAt = this.desk.clock();
    void this.renew();
  }

  close(): void {
    this.turn += 1;
    this.callOff();
    this.stop();
  }

  private tokenChanged(token: string | null): void {
    const { value } = this.now;
    // the chat throws away a token that is no good, perhaps before we have heard that it is
    const settling = value.phase === "asking" || (value.phase === "refused" && value.why === "bad_token");
    if (token !== null || !settling) this.begin();
  }

  private begin(): void {
    this.turn += 1;
    this.callOff();
    this.grant = "";
    this.failures = 0;
    if (this.access === null) return;
    if (this.access === "public") this.now.value = OPEN;
    else if (this.token.value === null) this.refuse("no_token", "");
    else {
      this.now.value = { phase: "asking" };
      void this.ask(this.token.value);
    }
  }

  private async ask(token: string): Promise<void> {
    const turn = ++this.turn;
    const answer = await this.desk.ask(token);
    if (turn !== this.turn) return;
    if (answer.kind === "granted") this.granted(answer.grant, answer.expiresAt);
    else if (answer.kind === "open") this.now.value = OPEN;
    else if (answer.kind === "away") this.again(() => this.ask(token), backoffMs(this.failures++, AWAY));
    else {
      this.refuse(refusalOf(answer.status, answer.code), answer.detail);
      if (answer.status !== 401) this.again(() => this.ask(token), AGAIN_MS * (0.8 + 0.4 * Math.random()));
    }
  }

  private async renew(): Promise<void> {
    this.callOff();
    const turn = ++this.turn;
    const answer = await this.desk.renew(this.grant);
    if (turn !== this.turn) return;
    if (answer.kind === "granted") this.granted(answer.grant, answer.expiresAt);
    else if (answer.kind === "away") this.again(() => this.renew(), backoffMs(this.failures++, AWAY));
    else this.begin();
  }

  private granted(grant: string, expiresAt: number): void {
    this.grant = grant;
    this.failures = 0;
    this.now.value = { phase: "admitted", prefix: `/g/${grant}` };
    this.again(() => this.renew(), untilRenewal(expiresAt - this.desk.clock()));
  }

  private refuse(why: Refusal, detail: string): void {
    this.grant = "";
    this.now.value = { phase: "refused", why, detail };
  }

  private again(work: () => Promise<void>, ms: number): void {
    this.callOff();
    this.callOff = this.desk.later(() => void work(), ms);
  }
}

/** How long to wait before renewing a grant that is good for so long, milliseconds. */
export function untilRenewal(leftMs: number, random: () => number = Math.random): number {
  const early = Math.max(EARLY_MS, leftMs / 3);
  return Math.max(5000, (leftMs - early) * (0.9 + 0.1 * random()));
}

function refusalOf(status: number, code: string): Refusal {
  if (status === 401) return "bad_token";
  if (code === "followers_only") return "followers";
  return code === "subscribers_only" ? "subscribers" : "other";
}

/** An address of the channel's media with this prefix, in place of one it may have. */
export function withPrefix(url: string, prefix: string): string {
  const found = /^([a-z]+:\/\/[^/]+)?(?:\/g\/[\w-]+)?(\/(?:live|media|thumb|whep)\/.*)$/i.exec(url);
  return found === null ? url : `${found[1] ?? ""}${prefix}${found[2]}`;
}

/** The edge that the page is from. `lifeS`: how long grants are to be good. */
export function deskOf(channel: string, lifeS: number): Desk {
  return {
    ask: (token) => askForGrant(channel, token, lifeS),
    renew: (grant) => renewGrant(channel, grant),
    clock: Date.now,
    later: (task, ms) => {
      const timer = setTimeout(task, ms);
      return () => clearTimeout(timer);
    },
  };
}

/** Seconds for which to ask. hls.js takes another grant as it goes; the browser's own HLS keeps the first one. */
export function grantLifeS(): number {
  const hasSource = "MediaSource" in globalThis || "ManagedMediaSource" in globalThis;
  return hasSource ? 600 : 12 * 3600;
}
