/** What is needed of hls.js to load again. */
interface Loading {
  stopLoad(): void;
  startLoad(position?: number, skipSeek?: boolean): void;
}

/**
 * Gives up hls.js's requests and asks for what belongs to the viewer's place, seconds; 0 while there is none.
 * Without a place hls.js goes on where it last played, which is not where a viewer has sought back to since, and
 * takes the viewer there.
 */
export function askAnew(hls: Loading, place: number): void {
  hls.stopLoad();
  if (place > 0) hls.startLoad(place, true);
  else hls.startLoad();
}
