import type { Action } from "../../chat/api";
import type { Desk } from "../../chat/desk";
import type { Modes } from "../../chat/modes";
import { sayTime } from "../../chat/times";
import { Switch } from "../../ui/switch";

const SLOW = [0, 3, 5, 10, 30, 60, 120, 300];
const FOLLOWERS = [-1, 0, 10, 60, 1440, 10_080, 43_200];
const UNIQUE = [0, 30, 60, 300, 1800];

/** The modes of a room; each takes effect when it is changed. */
export function ModesForm(props: { readonly desk: Desk }) {
  const { desk } = props;
  const modes = desk.modes.value;
  const set = (action: Action, done: string) => void desk.act(action, done);
  return (
    <div class="chat-modes-form">
      <Choice
        label="Slow mode"
        value={modes.slow}
        values={SLOW}
        words={(seconds) => (seconds === 0 ? "Off" : `One message in ${sayTime(seconds)}`)}
        onChoose={(value) => set({ action: "slow", value: value === 0 ? false : value }, "Slow mode is set.")}
      />
      <Choice
        label="Followers only"
        value={modes.followers}
        values={FOLLOWERS}
        words={followersWords}
        onChoose={(value) =>
          set({ action: "followers", value: value < 0 ? false : value }, "Followers mode is set.")
        }
      />
      <Choice
        label="No repeats"
        value={modes.unique}
        values={UNIQUE}
        words={(seconds) => (seconds === 0 ? "Off" : `Within ${sayTime(seconds)}`)}
        onChoose={(value) =>
          set({ action: "uniquechat", value: value === 0 ? false : value }, "No repeats is set.")
        }
      />
      <label class="setting">
        <span class="setting-words">Links</span>
        <select
          value={modes.links}
          onChange={(event) =>
            set({ action: "links", value: event.currentTarget.value }, "Who may write links is set.")
          }
        >
          <option value="allow">Everybody</option>
          <option value="moderators">VIPs and moderators</option>
          <option value="block">Only the owner</option>
        </select>
      </label>
      {SWITCHES.map(({ action, label, hint, isOn }) => (
        <Switch
          key={action}
          label={label}
          hint={hint}
          on={isOn(modes)}
          testid={`mode-${action}`}
          onChange={(value) => set({ action, value }, `${label} is ${value ? "on" : "off"}.`)}
        />
      ))}
    </div>
  );
}

interface ModeSwitch {
  readonly action: string;
  readonly label: string;
  readonly hint: string;
  readonly isOn: (modes: Modes) => boolean;
}

const SWITCHES: readonly ModeSwitch[] = [
  { action: "subscribers", label: "Subscribers only", hint: "", isOn: (modes) => modes.subscribers },
  { action: "emoteonly", label: "Emotes only", hint: "", isOn: (modes) => modes.emoteOnly },
  {
    action: "hold",
    label: "Review doubtful messages",
    hint: "They wait above instead of being refused.",
    isOn: (modes) => modes.hold,
  },
  {
    action: "shield",
    label: "Shield",
    hint: "Strict rules at once, for a time of trouble.",
    isOn: (modes) => modes.shield,
  },
];

function followersWords(minutes: number): string {
  if (minutes < 0) return "Off";
  return minutes === 0 ? "All followers" : `After ${sayTime(minutes * 60)}`;
}

interface ChoiceProps {
  readonly label: string;
  readonly value: number;
  readonly values: readonly number[];
  readonly words: (value: number) => string;
  readonly onChoose: (value: number) => void;
}

/** A list of values; one that was set otherwise is in it too. */
function Choice(props: ChoiceProps) {
  const { value, values, words } = props;
  const all = values.includes(value) ? values : [...values, value].sort((a, b) => a - b);
  return (
    <label class="setting">
      <span class="setting-words">{props.label}</span>
      <select value={String(value)} onChange={(event) => props.onChoose(Number(event.currentTarget.value))}>
        {all.map((one) => (
          <option key={one} value={String(one)}>
            {words(one)}
          </option>
        ))}
      </select>
    </label>
  );
}
