/** Settings kept in the browser. Storage may be refused (private windows): then they last for the page. */

const fallback = new Map<string, string>();

export function readSetting(name: string): string | null {
  try {
    return window.localStorage.getItem(`nearcast.${name}`);
  } catch {
    return fallback.get(name) ?? null;
  }
}

export function writeSetting(name: string, value: string | null): void {
  try {
    if (value === null) window.localStorage.removeItem(`nearcast.${name}`);
    else window.localStorage.setItem(`nearcast.${name}`, value);
  } catch {
    if (value === null) fallback.delete(name);
    else fallback.set(name, value);
  }
}
