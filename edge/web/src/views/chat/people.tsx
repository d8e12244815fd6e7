import { useEffect } from "preact/hooks";
import type { Chatter } from "../../chat/api";
import type { Rank } from "../../chat/badges";
import type { PanelState } from "./panel_state";
import { Name } from "./pieces";
import { PanelSheet } from "./sheet";

const REFRESH_MS = 10_000;
const GROUPS: readonly (readonly [rank: Rank, title: string])[] = [
  ["owner", "Broadcaster"],
  ["moderator", "Moderators"],
  ["vip", "VIPs"],
  ["viewer", "Viewers"],
];

/** Who is here, by rank. */
export function PeopleSheet(props: { readonly panel: PanelState }) {
  const { panel } = props;
  const { desk } = panel.room;
  useEffect(() => {
    void desk.loadChatters();
    const timer = setInterval(() => void desk.loadChatters(), REFRESH_MS);
    return () => clearInterval(timer);
  }, [desk]);
  const here = desk.chatters.value;
  const fetched = desk.chattersFetched.value;
  return (
    <PanelSheet panel={panel} title="People here" testid="chat-people-sheet">
      {here === null && fetched !== "failed" && (
        <div class="chat-bones skeleton" role="status" aria-label="Loading">
          <span class="bone" />
          <span class="bone wide" />
        </div>
      )}
      {fetched === "failed" && (
        <p class="chat-sheet-note" role="status">
          {here === null
            ? "The list could not be fetched."
            : "The list is not up to date: the chat does not answer."}{" "}
          <button type="button" class="link" onClick={() => void desk.loadChatters()}>
            Try again
          </button>
        </p>
      )}
      {here !== null && (
        <>
          <p class="chat-sheet-note number">{countOf(here.count, here.connections)}</p>
          {GROUPS.map(([rank, title]) => (
            <Group
              key={rank}
              panel={panel}
              title={title}
              people={here.chatters.filter((chatter) => chatter.rank === rank)}
            />
          ))}
          {here.count > here.chatters.length && (
            <p class="chat-sheet-note">{here.count - here.chatters.length} more are not listed.</p>
          )}
        </>
      )}
    </PanelSheet>
  );
}

function countOf(users: number, connections: number): string {
  const signed = `${users} signed in`;
  return connections > 0
    ? `${signed}, ${connections} ${connections === 1 ? "connection" : "connections"}`
    : signed;
}

interface GroupProps {
  readonly panel: PanelState;
  readonly title: string;
  readonly people: readonly Chatter[];
}

function Group(props: GroupProps) {
  const { panel, people } = props;
  if (people.length === 0) return null;
  const sorted = [...people].sort((a, b) => a.username.localeCompare(b.username));
  return (
    <div class="chat-group">
      <h4>
        {props.title} <span class="number">{people.length}</span>
      </h4>
      <ul>
        {sorted.map(({ userId, username, rank }) => (
          <li key={userId}>
            <button
              type="button"
              class="chat-person"
              onClick={() => panel.openCard({ userId, username, rank, restriction: "" })}
            >
              <Name userId={userId} username={username} />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
