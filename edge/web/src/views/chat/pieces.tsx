import { badgeOf } from "../../chat/badges";
import { lettersOf, pictureOf } from "../../chat/emotes";
import type { Part } from "../../chat/parts";
import { hueOf } from "../../lib/hash";
import { EmoteArt } from "./emote_art";
import { BroadcasterIcon, ModeratorIcon, SubscriberIcon, VipIcon } from "./icons";

/** Pieces of which lines, cards and lists are made. */

export function Badges(props: { readonly badges: readonly string[] }) {
  return (
    <>
      {props.badges.map((badge) => (
        <BadgeMark key={badge} badge={badge} />
      ))}
    </>
  );
}

function BadgeMark(props: { readonly badge: string }) {
  const { kind, words, text } = badgeOf(props.badge);
  const Picture = PICTURES[kind];
  return (
    <span class="chat-badge" data-kind={kind} title={words}>
      {Picture !== undefined && <Picture />}
      {text !== "" && <span aria-hidden={Picture !== undefined}>{text}</span>}
      {Picture !== undefined && <span class="visually-hidden">{words} </span>}
    </span>
  );
}

const PICTURES: Readonly<Record<string, typeof VipIcon>> = {
  broadcaster: BroadcasterIcon,
  moderator: ModeratorIcon,
  vip: VipIcon,
  subscriber: SubscriberIcon,
};

export function EmotePicture(props: { readonly name: string }) {
  const { name } = props;
  const picture = pictureOf(name);
  return (
    <span
      class={picture === null ? "emote emote-tile" : "emote"}
      role="img"
      aria-label={name}
      title={name}
      style={{ "--hue": String(hueOf(name)) }}
    >
      {picture === null ? lettersOf(name) : <EmoteArt picture={picture} />}
    </span>
  );
}

/** The parts of a message; `own` is the reader's name, lower case, empty for guests. */
export function Parts(props: { readonly parts: readonly Part[]; readonly own: string }) {
  return <>{props.parts.map((part, index) => piece(part, index, props.own))}</>;
}

function piece(part: Part, index: number, own: string) {
  switch (part.kind) {
    case "text":
      return part.text;
    case "emote":
      return <EmotePicture key={index} name={part.name} />;
    case "mention": {
      const kind = own !== "" && part.name.toLowerCase() === own ? "mention own" : "mention";
      return (
        <span key={index} class={kind}>
          {part.text}
        </span>
      );
    }
    case "link":
      return (
        <a key={index} href={part.href} target="_blank" rel="noopener noreferrer nofollow ugc" tabIndex={-1}>
          {part.text}
        </a>
      );
  }
}

export function Name(props: { readonly userId: string; readonly username: string }) {
  return (
    <bdi class="chat-name" style={{ "--hue": String(hueOf(props.userId)) }}>
      {props.username}
    </bdi>
  );
}
