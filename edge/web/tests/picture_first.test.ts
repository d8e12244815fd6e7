import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PictureFirst } from "../src/player/picture_first";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("at the beginning and behind a picture that has begun nothing waits", () => {
  const gate = new PictureFirst();
  expect(gate.holds(0)).toBe(false);
  gate.begin(0);
  expect(gate.holds(0)).toBe(false);
  expect(gate.holds(1)).toBe(true);
});

test("sound goes with the picture of its own discontinuity, once", () => {
  const gate = new PictureFirst();
  const go = vi.fn();
  gate.begin(0);
  gate.wait(2, go);
  gate.begin(1);
  expect(go).not.toHaveBeenCalled();
  gate.begin(2);
  gate.begin(2);
  vi.advanceTimersByTime(5000);
  expect(go).toHaveBeenCalledTimes(1);
});

test("patience ends, and what was cancelled is never asked for", () => {
  const gate = new PictureFirst();
  const [late, gone] = [vi.fn(), vi.fn()];
  gate.begin(0);
  gate.wait(1, late);
  gate.wait(1, gone)();
  vi.advanceTimersByTime(999);
  expect(late).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(late).toHaveBeenCalledTimes(1);
  gate.begin(1);
  expect(gone).not.toHaveBeenCalled();
});
