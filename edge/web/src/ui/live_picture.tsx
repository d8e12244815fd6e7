import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { pictureSet, REFRESH_MS } from "../lib/thumbnail";

const MARGIN = "240px";

interface LivePictureProps {
  readonly thumbnail: string;
  readonly alt: string;
  /** Width of its place, as in an image's `sizes`. */
  readonly sizes: string;
  /** Largest size to load, pixels. */
  readonly largest: number;
}

/**
 * The newest picture of a channel, replaced while somebody can see it. It fills a place that has its size
 * already, and shows nothing until there is a picture: what lies below it stays visible.
 */
export function LivePicture(props: LivePictureProps) {
  const { thumbnail, sizes, largest } = props;
  const place = useRef<HTMLSpanElement>(null);
  const shown = useSignal<string | null>(null);

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    return whileVisible(element, () => {
      const image = new Image();
      image.fetchPriority = "low"; // playlists and media come first
      image.sizes = sizes;
      image.srcset = pictureSet(thumbnail, largest, Date.now());
      image.decode().then(
        () => {
          shown.value = image.currentSrc;
        },
        () => {}, // none yet, or the edge is away: the last one stays
      );
    });
  }, [thumbnail, sizes, largest, shown]);

  return (
    <span class="live-picture" ref={place}>
      {shown.value !== null && <img src={shown.value} alt={props.alt} data-testid="live-picture" />}
    </span>
  );
}

/** Calls `work` when the element comes into view and again and again while it is; returns what ends that. */
function whileVisible(element: Element, work: () => void): () => void {
  let near = false;
  let workedAt = Number.NEGATIVE_INFINITY;

  function look(): void {
    if (!near || document.hidden || performance.now() - workedAt < REFRESH_MS) return;
    workedAt = performance.now();
    work();
  }

  const observer = new IntersectionObserver(
    (entries) => {
      near = entries.at(-1)?.isIntersecting ?? false;
      look();
    },
    { rootMargin: MARGIN },
  );
  observer.observe(element);
  const timer = setInterval(look, REFRESH_MS / 10);
  document.addEventListener("visibilitychange", look);
  return () => {
    observer.disconnect();
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
  };
}
