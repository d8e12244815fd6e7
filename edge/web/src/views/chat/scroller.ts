import { signal } from "@preact/signals";
import type { Line } from "../../chat/lines";
import type { ChatRoom } from "../../chat/room";
import { startOf, type Window, windowAt, windowAtEnd } from "../../chat/window";

/** This close to the end counts as reading the newest, pixels. */
const END_PX = 48;
/** Lines are in the page this far out of sight, pixels. */
const AROUND_PX = 400;
/** While the newest are read fewer do: every new line moves the window. */
const AROUND_END_PX = 120;
/** Height of a line that was not measured: no line is lower, so the window never turns out too small. */
const ESTIMATE_PX = 26;
/** The window moves after scrolling so far, pixels. */
const STEP_PX = 100;
/** This close to the beginning older messages are fetched, pixels. */
const OLDER_PX = 600;

interface View {
  readonly top: number;
  readonly height: number;
  /** Whether the reader is at the newest line: the list stays there. */
  readonly atEnd: boolean;
}

/** A line that stays where it is in sight, pixels below the upper edge, while lines around it change. */
interface Anchor {
  readonly key: string;
  readonly offset: number;
}

/** Keeps the place of a reader in a long list of which only a window is in the page. */
export class Scroller {
  readonly view = signal<View>({ top: 0, height: 600, atEnd: true });
  private readonly heights = new Map<string, number>();
  private readonly holds = new Set<string>();
  private anchor: Anchor | null = null;
  private place = 0;
  private wanted: string | null = null;
  private shines = false;
  private element: HTMLElement | null = null;

  constructor(private readonly room: ChatRoom) {}

  /** Takes the scrolling element; the returned function gives it up. */
  attach(element: HTMLElement): () => void {
    this.element = element;
    const observer = new ResizeObserver(() => {
      this.view.value = { ...this.view.peek(), height: element.clientHeight };
      this.settle();
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      this.element = null;
    };
  }

  windowOf(lines: readonly Line[]): Window {
    const { top, height, atEnd } = this.view.value;
    const heights = this.heightsOf(lines);
    if (atEnd) return windowAtEnd(heights, height, AROUND_END_PX);
    const { anchor } = this;
    const index = anchor === null ? -1 : lines.findIndex((line) => line.key === anchor.key);
    const from = anchor === null || index < 0 ? top : startOf(heights, index) - anchor.offset;
    return windowAt(heights, from, height + STEP_PX, AROUND_PX);
  }

  private heightsOf(lines: readonly Line[]): readonly number[] {
    return lines.map((line) => this.heights.get(line.key) ?? ESTIMATE_PX);
  }

  /** After every change of the page: measures the lines that are in it and puts the reader's place right. */
  settle(): void {
    const { element } = this;
    if (element === null) return;
    const rows = this.rows();
    for (const row of rows) {
      this.heights.set(row.dataset.key ?? "", row.getBoundingClientRect().height);
    }
    this.forget();
    if (this.view.peek().atEnd) element.scrollTop = element.scrollHeight;
    else this.hold(rows);
    this.place = element.scrollTop;
    this.arrive(rows);
  }

  /** Moves the list so that the anchor is where it was. */
  private hold(rows: readonly HTMLElement[]): void {
    const { anchor, element } = this;
    const row = rows.find((one) => one.dataset.key === anchor?.key);
    if (anchor === null || row === undefined || element === null) return;
    const moved = this.offsetOf(row) - anchor.offset;
    if (Math.abs(moved) > 0.5) element.scrollTop += moved;
  }

  private arrive(rows: readonly HTMLElement[]): void {
    const row = rows.find((one) => one.dataset.key === this.wanted);
    if (row === undefined) return;
    this.wanted = null;
    row.focus({ preventScroll: true });
    if (!this.shines) return;
    row.dataset.found = "true";
    setTimeout(() => delete row.dataset.found, 2000);
  }

  /** The reader, or the list itself, has scrolled. Only going up leaves the end. */
  scrolled(): void {
    const { element } = this;
    if (element === null) return;
    const top = element.scrollTop;
    const close = element.scrollHeight - top - element.clientHeight < END_PX;
    const before = this.view.peek();
    const atEnd = this.holds.size === 0 && (close || (before.atEnd && top >= this.place - 1));
    this.place = top;
    this.anchor = atEnd ? null : this.findAnchor();
    const step = Math.floor(top / STEP_PX) * STEP_PX;
    if (atEnd !== before.atEnd || (!atEnd && step !== before.top)) {
      this.view.value = { ...before, top: step, atEnd };
    }
    this.room.list.follow(atEnd);
    if (!atEnd && top < OLDER_PX) void this.room.list.loadOlder();
  }

  /** While something `why` is looked at the list does not move. */
  pause(why: string): void {
    this.holds.add(why);
    if (this.view.peek().atEnd) this.scrolled();
  }

  goOn(why: string): void {
    if (this.holds.delete(why)) this.scrolled();
  }

  /** The focus leaves a line: for another one, perhaps. */
  left(): void {
    setTimeout(() => {
      if (this.rowOf(document.activeElement) === null) this.goOn("focus");
    });
  }

  toEnd(): void {
    this.holds.clear();
    this.anchor = null;
    this.view.value = { ...this.view.peek(), atEnd: true };
    this.room.list.follow(true);
    this.settle();
  }

  /** Shows a line and gives it the focus; whether it is there. */
  toLine(key: string, offset = 80, shine = true): boolean {
    const lines = this.room.list.lines.peek();
    const index = lines.findIndex((line) => line.key === key);
    const { element } = this;
    if (index < 0 || element === null) return false;
    this.room.list.follow(false);
    this.holds.add("focus");
    this.anchor = { key, offset };
    this.wanted = key;
    this.shines = shine;
    const top = Math.max(0, startOf(this.heightsOf(lines), index) - offset);
    this.view.value = { ...this.view.peek(), top: Math.floor(top / STEP_PX) * STEP_PX, atEnd: false };
    element.scrollTop = top;
    this.settle();
    return true;
  }

  /** Gives a line that is in the page the focus, and leaves it where it is. */
  focus(key: string): void {
    const row = this.rows().find((one) => one.dataset.key === key);
    if (row === undefined) return;
    row.focus({ preventScroll: true });
    if (row.matches(":focus-visible")) this.pause("focus");
  }

  /** The line with the focus, or within which the focus is. */
  rowOf(target: EventTarget | null): HTMLElement | null {
    return target instanceof Element ? target.closest<HTMLElement>("li[data-key]") : null;
  }

  /** Moves the focus by lines. From the list itself it goes to the newest line in sight. */
  step(by: number): void {
    const rows = this.rows();
    const at = rows.findIndex((row) => row.matches(":focus, :focus-within"));
    const row = at < 0 ? this.lastInSight(rows) : rows[at + by];
    if (row === undefined) return;
    this.pause("focus");
    row.focus();
  }

  toFirst(): void {
    const [first] = this.room.list.lines.peek();
    if (first !== undefined) this.toLine(first.key, 0, false);
  }

  /** To the newest line; from there the list moves on. */
  toLast(): void {
    this.toEnd();
    this.element?.focus();
  }

  private lastInSight(rows: readonly HTMLElement[]): HTMLElement | undefined {
    const height = this.element?.clientHeight ?? 0;
    return rows.filter((row) => this.offsetOf(row) + row.clientHeight <= height + 1).at(-1);
  }

  private findAnchor(): Anchor | null {
    const row = this.rows().find((one) => this.offsetOf(one) + one.clientHeight > 0);
    return row === undefined ? null : { key: row.dataset.key ?? "", offset: this.offsetOf(row) };
  }

  private offsetOf(row: HTMLElement): number {
    const top = this.element?.getBoundingClientRect().top ?? 0;
    return row.getBoundingClientRect().top - top;
  }

  private rows(): readonly HTMLElement[] {
    return [...(this.element?.querySelectorAll<HTMLElement>("li[data-key]") ?? [])];
  }

  /** Heights of lines that are gone are not kept for ever. */
  private forget(): void {
    const lines = this.room.list.lines.peek();
    if (this.heights.size <= 2 * lines.length + 200) return;
    const kept = new Set(lines.map((line) => line.key));
    for (const key of this.heights.keys()) if (!kept.has(key)) this.heights.delete(key);
  }
}
