/** The HTTP side of WHEP (draft-ietf-wish-whep): an offer goes out, an answer and a session's address come. */

/** The links of a relation among `Link` fields (RFC 8288): target and parameters. */
export function linksOf(header: string | null, relation: string): readonly Link[] {
  const found: Link[] = [];
  for (const match of (header ?? "").matchAll(
    /<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^;,"\s]+))*)/g,
  )) {
    const [, target = "", rest = ""] = match;
    const parameters = new Map<string, string>();
    for (const [, name = "", quoted, bare = ""] of rest.matchAll(
      /;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]+))/g,
    )) {
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare);
    }
    if ((parameters.get("rel") ?? "").split(/\s+/).includes(relation)) found.push({ target, parameters });
  }
  return found;
}

export interface Link {
  readonly target: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** STUN and TURN servers that an answer names (RFC 9725, 4.6). */
export function iceServersOf(header: string | null): readonly RTCIceServer[] {
  return linksOf(header, "ice-server").map(({ target, parameters }) => {
    const username = parameters.get("username");
    const credential = parameters.get("credential");
    return {
      urls: target,
      ...(username === undefined ? {} : { username }),
      ...(credential === undefined ? {} : { credential }),
    };
  });
}

/** Candidates as an SDP fragment for PATCH (RFC 8840): the offer's credentials and one media section. */
export function sdpFragment(offer: string, candidates: readonly RTCIceCandidate[]): string {
  const line = (start: string) => offer.split("\r\n").find((one) => one.startsWith(start));
  const lines = [line("a=ice-ufrag:"), line("a=ice-pwd:"), line("m="), line("a=mid:")];
  const listed = candidates.map((one) => `a=${one.candidate}`);
  return `${[...lines.filter((one) => one !== undefined), ...listed, "a=end-of-candidates"].join("\r\n")}\r\n`;
}

/** What a server said to an offer. */
export interface Answered {
  readonly sdp: string;
  /** Address of the session: PATCH and DELETE go there. Null when the server gave none. */
  readonly session: string | null;
  readonly etag: string | null;
  readonly iceServers: readonly RTCIceServer[];
}

export class RefusedError extends Error {}

/** Sends an offer. RefusedError for any answer but 201; network errors as fetch throws them. */
export async function sendOffer(url: string, sdp: string, signal: AbortSignal): Promise<Answered> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Accept: "application/sdp" },
    body: sdp,
    signal,
  });
  if (response.status !== 201) throw new RefusedError(`The server answered ${response.status}.`);
  const location = response.headers.get("Location");
  return {
    sdp: await response.text(),
    session: location === null ? null : new URL(location, response.url || url).href,
    etag: response.headers.get("ETag"),
    iceServers: iceServersOf(response.headers.get("Link")),
  };
}

/** Tells the candidates that were found after the offer. Servers may refuse that; the connection stands without. */
export async function sendCandidates(session: string, etag: string | null, fragment: string): Promise<void> {
  await fetch(session, {
    method: "PATCH",
    headers: {
      "Content-Type": "application/trickle-ice-sdpfrag",
      ...(etag === null ? {} : { "If-Match": etag }),
    },
    body: fragment,
  }).catch(() => {});
}

/** Ends a session, also while the page is left. */
export function endSession(session: string): void {
  fetch(session, { method: "DELETE", keepalive: true }).catch(() => {});
}
