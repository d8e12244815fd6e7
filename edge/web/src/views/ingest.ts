/** Where encoders send to, as this page knows it. */
export function ingestAddress(): string {
  return `rtmp://${window.location.hostname}:1935/live`;
}

/** Prints a stream key and a chat token for a new channel. */
export const CREATE_COMMAND = "./nearcast channel create NAME";
