import type { Journal } from "../player/journal";
import { type Beacon, BeaconMaker, type BeaconState, type Reading } from "./beacon";
import { Pace } from "./pace";

const PATH = "/beacon";
const TICK_MS = 1000;
/** Beacons out of turn, for errors, are this far apart at least, milliseconds. */
const SPACING_MS = 2000;

export interface ReporterParts {
  readonly session: string;
  readonly channel: string;
  readonly journal: Journal;
  /** What the player does now; null while there is no broadcast to tell of. */
  readonly read: () => Reading | null;
  readonly clock?: () => number;
  readonly post?: (beacon: Beacon) => Promise<number>;
  readonly postLeaving?: (beacon: Beacon) => void;
}

/** Tells the edge how the picture comes: every few seconds, and at once at the start, on errors, on leaving. */
export class Reporter {
  private readonly pace = new Pace();
  private readonly maker: BeaconMaker;
  private readonly clock: () => number;
  private readonly post: (beacon: Beacon) => Promise<number>;
  private readonly postLeaving: (beacon: Beacon) => void;
  private sentAt = Number.NEGATIVE_INFINITY;
  private sentState: BeaconState | null = null;
  private urgent = false;
  private sending = false;

  constructor(private readonly parts: ReporterParts) {
    this.clock = parts.clock ?? Date.now;
    this.post = parts.post ?? send;
    this.postLeaving = parts.postLeaving ?? sendLeaving;
    this.maker = new BeaconMaker(parts.session, parts.channel, this.clock());
    parts.journal.onTrouble = () => {
      this.urgent = true;
    };
    parts.journal.onStart = () => {
      this.urgent = true;
      this.sentAt = Number.NEGATIVE_INFINITY;
    };
  }

  /** Sends a beacon when one is due. Call it every second. */
  tick(): void {
    if (this.pace.stopped || this.sending) return;
    const reading = this.parts.read();
    if (reading === null) return;
    if (this.isDue(reading.state)) void this.send(reading);
  }

  /** The page is left, or the channel is. */
  left(): void {
    const reading = this.pace.stopped ? null : this.parts.read();
    if (reading !== null && this.sentState !== null) this.postLeaving(this.make(reading, true));
  }

  private isDue(state: BeaconState): boolean {
    const passed = this.clock() - this.sentAt;
    if (state === this.sentState && (state === "paused" || state === "ended")) return false;
    if (this.sentState === null || state === "ended") return true;
    return passed >= (this.urgent ? Math.min(SPACING_MS, this.pace.intervalMs) : this.pace.intervalMs);
  }

  private async send(reading: Reading): Promise<void> {
    const beacon = this.make(reading, false);
    this.sending = true;
    this.pace.answered(await this.post(beacon));
    this.sending = false;
  }

  private make(reading: Reading, leaving: boolean): Beacon {
    const now = this.clock();
    const { journal } = this.parts;
    this.sentAt = now;
    this.sentState = reading.state;
    this.urgent = false;
    return this.maker.make(reading, journal.figures(now), journal.takeTroubles(), now, leaving);
  }
}

async function send(beacon: Beacon): Promise<number> {
  try {
    const response = await fetch(PATH, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(beacon),
      keepalive: true,
      cache: "no-store",
    });
    return response.status;
  } catch {
    return 0;
  }
}

/** In plain text: no question goes ahead of it, and the page may be gone by the answer. */
function sendLeaving(beacon: Beacon): void {
  navigator.sendBeacon?.(PATH, new Blob([JSON.stringify(beacon)], { type: "text/plain" }));
}

/** Runs a reporter until the returned function is called. */
export function run(reporter: Reporter): () => void {
  const timer = setInterval(() => reporter.tick(), TICK_MS);
  const leave = () => reporter.left();
  window.addEventListener("pagehide", leave);
  return () => {
    clearInterval(timer);
    window.removeEventListener("pagehide", leave);
    reporter.left();
  };
}
