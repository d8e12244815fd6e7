/** Secrets kept until the tab is closed, never longer. Storage may be refused: then they last for the page. */

const fallback = new Map<string, string>();

export function readSecret(name: string): string | null {
  try {
    return window.sessionStorage.getItem(`nearcast.${name}`);
  } catch {
    return fallback.get(name) ?? null;
  }
}

export function writeSecret(name: string, value: string | null): void {
  try {
    if (value === null) window.sessionStorage.removeItem(`nearcast.${name}`);
    else window.sessionStorage.setItem(`nearcast.${name}`, value);
  } catch {
    if (value === null) fallback.delete(name);
    else fallback.set(name, value);
  }
}
