/** Full screen and picture in picture, in the ways browsers have them. */

type IosVideo = HTMLVideoElement & { webkitEnterFullscreen?: () => void };

export function toggleFull(frame: HTMLElement | null, video: HTMLVideoElement | null): void {
  if (document.fullscreenElement !== null && document.fullscreenElement !== undefined) {
    void document.exitFullscreen();
  } else if (frame?.requestFullscreen !== undefined) {
    frame.requestFullscreen().catch(() => {});
  } else {
    (video as IosVideo | null)?.webkitEnterFullscreen?.();
  }
}

export function hasPip(): boolean {
  return document.pictureInPictureEnabled === true;
}

/** Refused without a picture or a gesture: then nothing happens, as the viewer sees. */
export async function togglePip(video: HTMLVideoElement): Promise<void> {
  try {
    if (document.pictureInPictureElement === video) await document.exitPictureInPicture();
    else if (hasPip()) await video.requestPictureInPicture();
  } catch {
    return;
  }
}
