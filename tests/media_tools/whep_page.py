"""A page that watches by WHEP, for Chromium driven by tests."""

ARGUMENTS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
WATCH = """async (url) => {
  document.body.innerHTML = '<video data-testid="video" autoplay playsinline></video>';
  const video = document.querySelector('video');
  const peer = window.peer = new RTCPeerConnection();
  const stream = video.srcObject = new MediaStream();
  peer.ontrack = ({track}) => stream.addTrack(track);
  peer.addTransceiver('video', {direction: 'recvonly'});
  peer.addTransceiver('audio', {direction: 'recvonly'});
  await peer.setLocalDescription();
  const began = performance.now();
  const answer = await fetch(url, {method: 'POST', body: peer.localDescription.sdp,
    headers: {'Content-Type': 'application/sdp'}});
  const body = await answer.text();
  if (answer.status !== 201) return {status: answer.status, body, link: answer.headers.get('Link')};
  await peer.setRemoteDescription({type: 'answer', sdp: body});
  await new Promise((done, failed) => {
    setTimeout(() => failed(new Error('no picture')), 10000);
    video.requestVideoFrameCallback(done);
  });
  return {status: 201, location: new URL(answer.headers.get('Location'), url).href,
    offer: peer.localDescription.sdp, answer: body, first: performance.now() - began};
}"""
"""Resolves with the first picture; `first` is the milliseconds from the offer to it."""

STATS = """async () => {
  const found = {};
  for (const one of (await window.peer.getStats()).values())
    if (one.type === 'inbound-rtp') found[one.kind] = one;
  return found;
}"""
"""Figures of what comes in, by kind."""
