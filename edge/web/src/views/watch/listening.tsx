import { ChannelArt } from "../../ui/channel_art";
import { ListenIcon } from "../../ui/icons";
import { LivePicture } from "../../ui/live_picture";

/** The still picture while only the sound is played. */
export function Listening(props: {
  readonly channel: string;
  readonly thumbnail: string;
  readonly title: string;
  readonly onEnd: () => void;
}) {
  return (
    <section class="listening" aria-label="Sound only" data-testid="listening">
      <span class="listening-ground">
        <ChannelArt channel={props.channel} />
        <LivePicture thumbnail={props.thumbnail} alt="" sizes="320px" largest={320} />
      </span>
      <span class="listening-mark">
        <ListenIcon />
      </span>
      <p class="listening-title" dir="auto">
        {props.title || props.channel}
      </p>
      <p class="listening-words">Sound only. It takes a small part of the data.</p>
      <button type="button" class="button" onClick={props.onEnd}>
        Show the picture
      </button>
    </section>
  );
}
