/** How often beacons go out, by what the server answers. */

const USUAL_MS = 10_000;
const SLOWEST_MS = 60_000;

export class Pace {
  private ms = USUAL_MS;
  private over = false;

  get intervalMs(): number {
    return this.ms;
  }

  /** The server takes no beacons: no more are sent. */
  get stopped(): boolean {
    return this.over;
  }

  /** An answer's status; 0 when there was none. */
  answered(status: number): void {
    if (status === 404 || status === 405) this.over = true;
    else if (status === 429 || status === 503) this.ms = Math.min(SLOWEST_MS, this.ms * 2);
    else if (status === 204) this.ms = USUAL_MS;
  }
}
