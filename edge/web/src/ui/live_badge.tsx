import type { ChannelState } from "../api/types";

const WORDS: Readonly<Record<ChannelState, string>> = {
  live: "Live",
  starting: "Starting",
  interrupted: "Interrupted",
  offline: "Offline",
};

export function LiveBadge(props: { readonly state: ChannelState }) {
  return (
    <span class="badge" data-tone={props.state}>
      {WORDS[props.state]}
    </span>
  );
}
