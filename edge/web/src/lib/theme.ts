import { signal } from "@preact/signals";
import { readSetting, writeSetting } from "./storage";

export type Theme = "dark" | "light";

const preferred = window.matchMedia("(prefers-color-scheme: light)");

function stored(): Theme | null {
  const value = readSetting("theme");
  return value === "dark" || value === "light" ? value : null;
}

/** The theme shown now: the viewer's choice, or what the system prefers. */
export const theme = signal<Theme>(stored() ?? (preferred.matches ? "light" : "dark"));

function show(): void {
  theme.value = stored() ?? (preferred.matches ? "light" : "dark");
  document.documentElement.dataset.theme = theme.value;
}

export function startTheme(): void {
  preferred.addEventListener("change", show);
  show();
}

export function toggleTheme(): void {
  writeSetting("theme", theme.value === "dark" ? "light" : "dark");
  show();
}
