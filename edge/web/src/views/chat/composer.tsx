import type { ChatRoom } from "../../chat/room";
import { ModesBar, ReplyBar } from "./bars";
import { TokenField } from "./token_field";
import { Writer } from "./writer";

/** Where messages are written, with everything that says whether they can be. */
export function Composer(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const problem = room.problem.value;
  return (
    <footer class="composer">
      <ModesBar room={room} />
      <ReplyBar room={room} />
      {problem !== "" && (
        <p class="composer-problem" role="status">
          {problem}
        </p>
      )}
      {room.token.value === null ? <TokenField room={room} /> : <Writer key={room.channel} room={room} />}
    </footer>
  );
}
