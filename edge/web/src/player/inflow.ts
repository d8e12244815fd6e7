/** What a request has brought so far, as hls.js keeps it. */
export interface Brought {
  readonly loaded: number;
}

/** The bytes that requests for media have brought, those of unfinished ones too: they come a little at a time. */
export class Inflow {
  private ended = 0;
  private readonly running = new Set<Brought>();

  begin(request: Brought): void {
    this.running.add(request);
  }

  /** A request is over, whatever came of it. */
  end(request: Brought): void {
    if (this.running.delete(request)) this.ended += request.loaded;
  }

  get bytes(): number {
    let sum = this.ended;
    for (const { loaded } of this.running) sum += loaded;
    return sum;
  }
}
