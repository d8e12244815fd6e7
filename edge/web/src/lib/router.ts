import { signal } from "@preact/signals";

export type Route =
  | { readonly view: "home" }
  | { readonly view: "studio" }
  | { readonly view: "watch"; readonly channel: string }
  /** The player alone, for frames on other sites. */
  | { readonly view: "embed"; readonly channel: string }
  /** The chat alone, for frames on other sites. */
  | { readonly view: "embed_chat"; readonly channel: string }
  | { readonly view: "missing" };

const CHANNEL = /^[a-z0-9][a-z0-9_-]{0,30}$/;

/** What a path shows. Channel names are lower case; an upper case path means the same channel. */
export function routeOf(path: string): Route {
  const names = path.split("/").filter((name) => name !== "");
  const [first] = names;
  if (first === undefined) return { view: "home" };
  if (first === "studio") return { view: "studio" };
  if (first === "embed") return embedOf(names.slice(1));
  const channel = first.toLowerCase();
  if (names.length === 1 && CHANNEL.test(channel)) return { view: "watch", channel };
  return { view: "missing" };
}

/** What is shown of a channel in a frame. */
function embedOf(names: readonly string[]): Route {
  const channel = (names[0] ?? "").toLowerCase();
  if (!CHANNEL.test(channel)) return { view: "missing" };
  if (names.length === 1) return { view: "embed", channel };
  return names.length === 2 && names[1] === "chat" ? { view: "embed_chat", channel } : { view: "missing" };
}

export const route = signal<Route>({ view: "home" });

export function goTo(path: string): void {
  window.history.pushState(null, "", path);
  follow();
  window.scrollTo(0, 0);
}

function follow(): void {
  route.value = routeOf(window.location.pathname);
}

function ownLink(event: MouseEvent): HTMLAnchorElement | null {
  if (event.defaultPrevented || event.button !== 0) return null;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (link === null || link.target !== "" || link.origin !== window.location.origin) return null;
  return link.hash === "" ? link : null;
}

/** Follows the address bar, and takes plain clicks on our own links without loading the page again. */
export function startRouter(): void {
  window.addEventListener("popstate", follow);
  document.addEventListener("click", (event) => {
    const link = ownLink(event);
    if (link === null) return;
    event.preventDefault();
    goTo(link.pathname);
  });
  follow();
}
