import { signal } from "@preact/signals";
import { readSetting, writeSetting } from "../lib/storage";
import type { Viewer } from "./watch_session";

/** The viewer whose token this browser keeps, for pages without a chat. */
export function keptViewer(): Viewer {
  const token = signal(readSetting("chat-token"));
  return {
    token,
    useToken: (given) => {
      writeSetting("chat-token", given);
      token.value = given;
    },
  };
}
