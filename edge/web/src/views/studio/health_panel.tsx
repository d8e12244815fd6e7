import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { Advice, Severity, StreamHealth } from "../../api/health";
import { followHealth, type HealthNews, type HealthPhase } from "../../api/health_feed";
import { readSecret, writeSecret } from "../../lib/session";
import { BitRateChart } from "./bit_rate_chart";
import { EncoderList } from "./encoder_list";
import { figuresOf } from "./figures";

const SECRET = "studio-token";
const TYPING_MS = 400;
const WORDS: Readonly<Record<Severity, string>> = { error: "Fix", warning: "Improve", notice: "Tip" };
const PHASES: Readonly<Record<HealthPhase, string>> = {
  opening: "Asking the server",
  open: "",
  lost: "The server does not answer. We keep asking.",
  refused: "This token is not valid. Check that all of it was copied, and that it was not revoked.",
  foreign: "This token belongs to somebody else's channel.",
  unknown: "There is no such channel here.",
};

/** How the streamer's own stream arrives, once they have shown by their token that it is theirs. */
export function HealthPanel(props: { readonly channel: string }) {
  const token = useSignal(readSecret(SECRET) ?? "");
  const forget = () => {
    token.value = "";
    writeSecret(SECRET, null);
  };
  const use = (given: string) => {
    token.value = given;
    writeSecret(SECRET, given);
  };
  return (
    <section class="health" aria-labelledby="health-title">
      <h3 id="health-title">Stream health</h3>
      {token.value === "" ? (
        <TokenForm onToken={use} />
      ) : (
        <Followed key={`${props.channel} ${token.value}`} {...props} token={token.value} onForget={forget} />
      )}
    </section>
  );
}

function TokenForm(props: { readonly onToken: (token: string) => void }) {
  const id = useId();
  const typed = useSignal("");
  return (
    <form
      class="health-token"
      onSubmit={(event) => {
        event.preventDefault();
        if (typed.value.trim() !== "") props.onToken(typed.value.trim());
      }}
    >
      <p id={`${id}-why`}>
        Your token, which came with the stream key, shows what your encoder sends and what to set better. It
        is kept until this tab is closed.
      </p>
      <label for={id}>Token</label>
      <div class="health-entry">
        <input
          id={id}
          type="password"
          autocomplete="off"
          spellcheck={false}
          aria-describedby={`${id}-why`}
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
        <button type="submit" class="button" disabled={typed.value.trim() === ""}>
          Show
        </button>
      </div>
    </form>
  );
}

function Followed(props: {
  readonly channel: string;
  readonly token: string;
  readonly onForget: () => void;
}) {
  const { channel, token } = props;
  const news = useSignal<HealthNews | null>(null);
  useEffect(() => {
    let close = () => {};
    const timer = setTimeout(() => {
      const feed = followHealth(channel, token);
      const stop = feed.news.subscribe((value) => {
        news.value = value;
      });
      close = () => {
        stop();
        feed.close();
      };
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      close();
    };
  }, [channel, token, news]);
  const shown = news.value;
  const phase = shown?.phase ?? "opening";
  return (
    <>
      <p class={`health-phase health-${phase}`} role="status">
        {PHASES[phase]}
      </p>
      {shown !== null && shown.health !== null && <Reported health={shown.health} news={shown} />}
      <button type="button" class="button quiet" onClick={props.onForget}>
        {phase === "refused" || phase === "foreign" ? "Try another token" : "Forget the token"}
      </button>
    </>
  );
}

function Reported(props: { readonly health: StreamHealth; readonly news: HealthNews }) {
  const { report, problems } = props.health;
  if (report === null) {
    const off = props.health.state === "offline" || props.health.state === "interrupted";
    return (
      <>
        <p>{off ? "Nothing arrives from your encoder now." : "Measuring. This takes a few seconds."}</p>
        <EncoderList sessions={props.health.sessions} />
      </>
    );
  }
  return (
    <>
      <AdviceList advice={report.advice} problems={problems} />
      <dl class="health-figures">
        {figuresOf(report).map((figure) => (
          <div key={figure.name}>
            <dt>{figure.name}</dt>
            <dd class="number">{figure.value}</dd>
            <dd class="detail number">{figure.detail}</dd>
          </div>
        ))}
      </dl>
      <BitRateChart points={props.news.history.points} />
      <EncoderList sessions={props.health.sessions} />
    </>
  );
}

/** What to set in one sentence: it changes with the advice, not with every figure in it. */
function spoken(advice: readonly Advice[]): string {
  if (advice.length === 0) return "";
  return `To set better: ${advice.map((one) => one.setting || one.text).join("; ")}.`;
}

function AdviceList(props: { readonly advice: readonly Advice[]; readonly problems: readonly string[] }) {
  const { advice, problems } = props;
  return (
    <>
      <p class="visually-hidden" role="status">
        {spoken(advice)}
      </p>
      {advice.length === 0 && problems.length === 0 ? (
        <p class="health-good">All is well: nothing to set better.</p>
      ) : (
        <ul class="advice">
          {problems.map((text) => (
            <li key={text} class="advice-warning">
              <span class="advice-kind">{WORDS.warning}</span>
              <p>{text}</p>
            </li>
          ))}
          {advice.map((one) => (
            <li key={one.code} class={`advice-${one.severity}`}>
              <span class="advice-kind">{WORDS[one.severity]}</span>
              <p>
                {one.text}
                {one.setting !== "" && <strong>{one.setting}</strong>}
              </p>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
