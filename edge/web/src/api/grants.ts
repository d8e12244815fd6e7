import { isFields, numberOf, textOf } from "./types";

const TIMEOUT_MS = 8000;

/** What the edge says to somebody who wants to watch a channel that is not for everybody. */
export type GrantAnswer =
  /** It needs no grant. */
  | { readonly kind: "open" }
  /** Good until `expiresAt`, Unix milliseconds by this machine's clock, however wrong that is. */
  | { readonly kind: "granted"; readonly grant: string; readonly expiresAt: number }
  /** `code` as the server names it. `status` 401: the token, or the grant that was to be renewed, is no good. */
  | { readonly kind: "refused"; readonly status: number; readonly code: string; readonly detail: string }
  /** Nobody could be asked; that may heal. */
  | { readonly kind: "away" };

const AWAY = { kind: "away" } as const;
const REFUSING = new Set([400, 401, 403, 404]);

/** Asks for a grant with a token, `lifeS` seconds long. */
export function askForGrant(channel: string, token: string, lifeS: number): Promise<GrantAnswer> {
  const headers = { Authorization: `Bearer ${token}` };
  return ask(`/live/${encodeURIComponent(channel)}/grant?life_s=${lifeS}`, { headers });
}

/** Asks for a longer grant in place of one that is good, or expired a moment ago. */
export function renewGrant(channel: string, grant: string): Promise<GrantAnswer> {
  return ask(`/g/${grant}/live/${encodeURIComponent(channel)}/grant`, {});
}

async function ask(path: string, init: RequestInit): Promise<GrantAnswer> {
  try {
    const response = await fetch(path, {
      ...init,
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (REFUSING.has(response.status)) return refused(response.status, await response.text());
    const ahead = clockAheadMs(response.headers.get("date"), Date.now());
    return response.ok ? readGrant(await response.json(), ahead) : AWAY;
  } catch {
    return AWAY;
  }
}

/** How far this machine's clock is ahead of a server's, by the Date of its answer (RFC 9110, 6.6.1); 0 without one. */
export function clockAheadMs(date: string | null, nowMs: number): number {
  const theirs = Date.parse(date ?? "");
  return Number.isNaN(theirs) ? 0 : nowMs - theirs;
}

/** A grant's document. `aheadMs`: how far this machine's clock is ahead of its server's. */
export function readGrant(document: unknown, aheadMs = 0): GrantAnswer {
  if (!isFields(document)) return AWAY;
  if (document.grant === null) return { kind: "open" };
  const grant = textOf(document.grant);
  const expiresAt = numberOf(document.expires_at);
  return /^[\w-]+$/.test(grant) && expiresAt !== null
    ? { kind: "granted", grant, expiresAt: expiresAt + aheadMs }
    : AWAY;
}

function refused(status: number, body: string): GrantAnswer {
  try {
    const problem: unknown = JSON.parse(body);
    if (isFields(problem)) {
      return { kind: "refused", status, code: textOf(problem.code), detail: textOf(problem.detail) };
    }
  } catch {
    // plain words then
  }
  return { kind: "refused", status, code: "", detail: body.trim().slice(0, 200) };
}
