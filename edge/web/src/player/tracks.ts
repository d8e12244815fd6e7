/** What a broadcast has, as its status says. */
export interface Tracks {
  readonly hasPicture: boolean;
  readonly hasSound: boolean;
}

/** Notices when an encoder comes back with a picture or a sound more or less than it had: what plays is loaded anew. */
export class TracksWatch {
  private known: Tracks | null = null;

  /** Another broadcast begins. */
  reset(): void {
    this.known = null;
  }

  /** Whether a broadcast has other tracks than before: true once for each change. */
  changed(now: Tracks): boolean {
    if (!now.hasPicture && !now.hasSound) return false;
    const { known } = this;
    this.known = now;
    return known !== null && (known.hasPicture !== now.hasPicture || known.hasSound !== now.hasSound);
  }
}
