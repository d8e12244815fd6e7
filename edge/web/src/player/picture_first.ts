import Hls, {
  type FragmentLoaderContext,
  type HlsConfig,
  type Loader,
  type LoaderCallbacks,
  type LoaderConfiguration,
} from "hls.js";
import type { Inflow } from "./inflow";

/** Sound is asked for all the same after this long, milliseconds: the picture may be elsewhere. */
const PATIENCE_MS = 1000;

/**
 * Holds requests for sound behind a discontinuity until the picture behind it has begun.
 *
 * hls.js needs the picture's first time stamp to place the sound. Parts of sound that come before it are put
 * together, of which it appends some only, and then asks for no sound any more until it is started again.
 */
export class PictureFirst {
  private readonly begun = new Set<number>();
  private readonly waiting = new Map<() => void, number>();

  /** The picture behind discontinuity `cc` has begun. */
  begin(cc: number): void {
    this.begun.add(cc);
    for (const [go, waitsFor] of [...this.waiting]) if (waitsFor === cc) go();
  }

  /** Whether sound of `cc` has to wait. At the very beginning hls.js does so by itself. */
  holds(cc: number): boolean {
    return this.begun.size > 0 && !this.begun.has(cc);
  }

  /** Calls `go` once, when the picture has begun or patience is over. Returns what cancels it. */
  wait(cc: number, go: () => void): () => void {
    const done = () => {
      clearTimeout(timer);
      return this.waiting.delete(release);
    };
    const release = () => {
      if (done()) go();
    };
    const timer = setTimeout(release, PATIENCE_MS);
    this.waiting.set(release, cc);
    return done;
  }
}

type FragmentLoader = new (config: HlsConfig) => Loader<FragmentLoaderContext>;
const Usual = Hls.DefaultConfig.loader as FragmentLoader;

/** hls.js's own loader, but for sound that has to wait for the picture. `inflow` is told what comes. */
export function loaderOf(pictureFirst: PictureFirst, inflow: Inflow): FragmentLoader {
  return class extends Usual {
    private cancel: (() => void) | null = null;

    override load(
      context: FragmentLoaderContext,
      config: LoaderConfiguration,
      callbacks: LoaderCallbacks<FragmentLoaderContext>,
    ): void {
      const { frag } = context;
      inflow.begin(this.stats);
      if (frag.type !== "audio" || frag.sn === "initSegment" || !pictureFirst.holds(frag.cc)) {
        super.load(context, config, callbacks);
        return;
      }
      const cancel = pictureFirst.wait(frag.cc, () => {
        this.cancel = null;
        super.load(context, config, callbacks);
      });
      this.cancel = () => {
        this.cancel = null;
        cancel();
        callbacks.onAbort?.(this.stats, context, null);
      };
    }

    override abort(): void {
      if (this.cancel !== null) this.cancel();
      else super.abort();
    }

    override destroy(): void {
      inflow.end(this.stats);
      this.cancel?.();
      super.destroy();
    }
  };
}
