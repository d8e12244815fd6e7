import { signal } from "@preact/signals";
import { fetchRtmpPort } from "../api/client";

const RTMP_PORT = 1935;
const port = signal(RTMP_PORT);
let asked = false;

/** Where encoders send to: the standard port until the server has told its own. */
export function ingestAddress(): string {
  if (!asked) {
    asked = true;
    void fetchRtmpPort().then((answer) => {
      if (answer.ok) port.value = answer.value;
      else asked = false;
    });
  }
  return `rtmp://${window.location.hostname}:${port.value}/live`;
}

/** Prints a stream key and a chat token for a new channel. */
export const CREATE_COMMAND = "./nearcast channel create NAME";
