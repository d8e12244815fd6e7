import Hls, { type Events, type FragLoadingData, type HlsConfig } from "hls.js";

type Controller = NonNullable<HlsConfig["timelineController"]>;
/** What its types keep to themselves. */
type Reader = new (hls: Hls) => { onFragLoading(event: Events.FRAG_LOADING, data: FragLoadingData): void };

const Usual = Hls.DefaultConfig.timelineController as unknown as Reader;

class PartReader extends Usual {
  private sn: number | "initSegment" = -1;
  private part = -1;

  override onFragLoading(event: Events.FRAG_LOADING, data: FragLoadingData): void {
    const { frag, part } = data;
    if (frag.type === "main") {
      const follows = part != null && frag.sn === this.sn && part.index === this.part + 1;
      this.sn = frag.sn;
      this.part = part?.index ?? -1;
      if (follows) return;
    }
    super.onFragLoading(event, data);
  }
}

/**
 * For hls.js: reads the captions in the pictures over the borders of parts. Its own forgets at each what it has read
 * of a caption, as it takes only whole segments for contiguous, and most captions are longer than a part.
 */
export const captionParts = PartReader as unknown as Controller;
