import type { Action } from "./api";
import { atLeast, type Rank } from "./badges";
import { sayTime } from "./times";

/** What a moderator can do about a message or a person, as the menus offer it. */

export interface Doing {
  readonly label: string;
  readonly action: Action;
  /** Said when it is done. */
  readonly done: string;
  readonly undo: Action | null;
  readonly grave: boolean;
}

export interface Person {
  readonly userId: string;
  readonly username: string;
  readonly rank: Rank;
  /** "ban", "timeout", "mute", or empty. */
  readonly restriction: string;
}

export interface Self {
  readonly userId: string;
  readonly rank: Rank;
}

const TIMEOUTS = [60, 600, 3600];

export function onMessage(self: Self, messageId: string): readonly Doing[] {
  if (!atLeast(self.rank, "moderator")) return [];
  return [
    doing("Pin", { action: "pin", message_id: messageId }, "Pinned.", { action: "unpin" }),
    doing("Delete", { action: "delete", message_id: messageId }, "Deleted.", null, true),
  ];
}

/** Restrictions: moderators may not restrict themselves, each other or the owner. */
export function onPerson(self: Self, person: Person): readonly Doing[] {
  if (!mayActOn(self, person)) return [];
  const { username: target } = person;
  if (person.restriction === "ban") return [unban(target, "Unban")];
  const lift = person.restriction === "timeout" ? [unban(target, "End the timeout")] : [];
  return [
    ...lift,
    ...TIMEOUTS.map((seconds) => timeout(target, seconds)),
    doing("Ban", { action: "ban", target }, `${target} is banned.`, { action: "unban", target }, true),
  ];
}

export function timeout(target: string, seconds: number): Doing {
  const span = sayTime(seconds);
  const words = `${target} is timed out for ${span}.`;
  return doing(`Time out ${span}`, { action: "timeout", target, seconds }, words, {
    action: "untimeout",
    target,
  });
}

/** What only an owner gives and takes. */
export function roles(self: Self, person: Person): readonly Doing[] {
  if (self.rank !== "owner" || self.userId === person.userId || person.rank === "owner") return [];
  const { username: target, rank } = person;
  const give = (action: string, label: string, role: string) =>
    doing(label, { action, target }, `${target} is ${role} now.`, { action: `un${action}`, target });
  const take = (action: string, label: string, role: string) =>
    doing(label, { action: `un${action}`, target }, `${target} is ${role} no longer.`, { action, target });
  return [
    rank === "moderator"
      ? take("mod", "Take moderator away", "a moderator")
      : give("mod", "Make moderator", "a moderator"),
    rank === "vip" ? take("vip", "Take VIP away", "a VIP") : give("vip", "Make VIP", "a VIP"),
  ];
}

export function mayActOn(self: Self, person: Person): boolean {
  if (!atLeast(self.rank, "moderator") || self.userId === person.userId) return false;
  return !atLeast(person.rank, self.rank);
}

function unban(target: string, label: string): Doing {
  return doing(label, { action: "unban", target }, `${target} can write again.`, null);
}

function doing(label: string, action: Action, done: string, undo: Action | null, grave = false): Doing {
  return { label, action, done, undo, grave };
}
