import type { ComponentChildren } from "preact";
import type { Picture } from "../../chat/emotes";

/** Pictures of emotes, drawn for Nearcast on a 32 px grid. */
export function EmoteArt(props: { readonly picture: Picture }) {
  return (
    <svg class="emote-art" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      {ART[props.picture]}
    </svg>
  );
}

const SMILE = "M9 18.5a7.2 7.2 0 0 0 14 0";
const FROWN = "M10 23a6.4 6.4 0 0 1 12 0";
const HEART =
  "M16 27.5C7 21 3.5 16.6 3.5 11.7A6.6 6.6 0 0 1 16 8.6a6.6 6.6 0 0 1 12.5 3.1c0 4.9-3.5 9.3-12.5 15.8z";
const HAND =
  "M10 17V8.4a2 2 0 0 1 4 0V6.2a2 2 0 0 1 4 0v2a2 2 0 0 1 4 0v9.3l2-2.4a2 2 0 0 1 3.2 2.4L23 25a8 8 0 0 1-13-6z";

/** A face: eyes at the usual place unless others are given. */
function face(mouth: ComponentChildren, eyes: ComponentChildren = null) {
  return (
    <>
      <circle class="skin" cx="16" cy="16" r="14" />
      {eyes ?? (
        <>
          <circle cx="11" cy="12.5" r="2" />
          <circle cx="21" cy="12.5" r="2" />
        </>
      )}
      {mouth}
    </>
  );
}

const line = (path: string) => <path class="line" d={path} />;
/** A line on the page, not on a face: seen in both themes. */
const ray = (path: string) => <path class="line ray" d={path} />;
const shape = (tone: string, path: string) => <path class={tone} d={path} />;

const ART: Readonly<Record<Picture, ComponentChildren>> = {
  smile: face(line(SMILE)),
  laugh: face(
    <path d="M8.5 17h15a7.5 7.5 0 0 1-15 0z" />,
    line("M8.5 13.5l2.5-3 2.5 3M18.5 13.5l2.5-3 2.5 3"),
  ),
  wink: face(line(SMILE), [<circle key="eye" cx="11" cy="12.5" r="2" />, line("M18.5 13h5")]),
  sad: face(line(FROWN)),
  cry: face([
    line(FROWN),
    shape("cold", "M22.5 15c2 3 2.8 4.4 2.8 5.6a2.8 2.8 0 0 1-5.6 0c0-1.2.8-2.6 2.8-5.6z"),
  ]),
  wow: face(<ellipse cx="16" cy="22" rx="3.4" ry="4" />),
  angry: face([line("M10.5 23a6 6 0 0 1 11 0"), line("M8 9l5 2.5M24 9l-5 2.5")]),
  cool: face(
    line(SMILE),
    <path d="M4.5 10h23v2.5c0 3-2 4.5-4.7 4.5s-4.6-1.6-5-4.5h-3.6c-.4 2.9-2.3 4.5-5 4.5s-4.7-1.5-4.7-4.5z" />,
  ),
  love: face(line(SMILE), [
    <path key="l" class="warm" transform="translate(6 8) scale(.3)" d={HEART} />,
    <path key="r" class="warm" transform="translate(16.5 8) scale(.3)" d={HEART} />,
  ]),
  think: face(line("M11.5 22.5l8-2"), [
    <circle key="l" cx="11" cy="13" r="2" />,
    <circle key="r" cx="21" cy="13" r="2" />,
    line("M18.5 8.5l5 1"),
  ]),
  sleep: face(<ellipse cx="16" cy="22" rx="2.5" ry="2" />, line("M8.5 13h5M18.5 13h5")),
  heart: shape("warm", HEART),
  star: shape("skin", "M16 2.5l4.2 8.6 9.4 1.3-6.8 6.6 1.6 9.4-8.4-4.5-8.4 4.5 1.6-9.4-6.8-6.6 9.4-1.3z"),
  fire: [
    shape("warm", "M16 2c1 6 9 9 9 17.5A9 9 0 0 1 7 20c0-4 2-6 3.5-9 1.5 2 2 3 2 4.5C15 12 16.5 8 16 2z"),
    shape("skin", "M16 15c.5 3 4.5 4.5 4.5 8.5a4.5 4.5 0 0 1-9 0c0-2.5 3.5-4.5 4.5-8.5z"),
  ],
  wave: [shape("skin", HAND), ray("M4 12a7 7 0 0 1 3-6M28 9a7 7 0 0 0-3-5")],
  clap: [shape("skin", HAND), ray("M4 6l3 3M3 12h4M9 2l1 3")],
  up: shape(
    "skin",
    "M4 14h5v14H4zM11 14l5-11c3 0 4 2 3.5 5l-1 4H26a3 3 0 0 1 3 3.6l-2 9.4a3.5 3.5 0 0 1-3.4 3H11z",
  ),
  win: [
    shape("skin", "M9 4h14v9a7 7 0 0 1-14 0zM14 19h4v5h-4zM10 24h12v4H10z"),
    ray("M9 7H4.5c0 4.5 1.5 7 5 7M23 7h4.5c0 4.5-1.5 7-5 7"),
  ],
  hype: [
    shape("skin", "M3 29l7-17 10 10z"),
    ray("M17 12c3-1 4-4 3-8M21 16c3-3 6-2 8-4M15 8l-1-4M25 22h4"),
    shape("warm", "M25 5l1.2 2.4L29 8l-2 2 .5 2.8L25 11.5l-2.5 1.3L23 10l-2-2 2.8-.6z"),
  ],
  music: [
    ray("M12 23V7l14-3v16"),
    <ellipse class="note" key="l" cx="8.5" cy="23.5" rx="4" ry="3.3" />,
    <ellipse class="note" key="r" cx="22.5" cy="20.5" rx="4" ry="3.3" />,
  ],
  sun: [
    <circle key="sun" class="skin" cx="16" cy="16" r="7" />,
    ray("M16 2v3.5M16 26.5V30M2 16h3.5M26.5 16H30M6 6l2.5 2.5M23.5 23.5L26 26M26 6l-2.5 2.5M8.5 23.5L6 26"),
  ],
  moon: shape("skin", "M26 20.5A12 12 0 0 1 12.5 4.5a12.5 12.5 0 1 0 13.5 16z"),
};
