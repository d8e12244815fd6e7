import { describe, expect, it } from "vitest";
import { type Advice, type Glance, Strain } from "../src/player/strain";

/** A device that shows `shown` of `rate` frames a second, for `seconds` in steps of a third. */
class Device {
  private glance: Glance = { nowS: 0, position: 0, total: 0, dropped: 0, frameRate: 60, due: true };
  readonly strain = new Strain();
  lowered = false;

  run(seconds: number, shown: number, more: Partial<{ rate: number; speed: number; due: boolean }> = {}) {
    const { rate = 60, speed = 1, due = true } = more;
    const said: Advice[] = [];
    for (let step = 0; step < seconds * 3; step++) {
      const { nowS, position, total, dropped } = this.glance;
      this.glance = {
        ...this.glance,
        nowS: nowS + 1 / 3,
        position: position + speed / 3,
        total: total + rate / 3,
        dropped: dropped + (rate - shown) / 3,
        due,
      };
      const advice = this.strain.look(this.glance, this.lowered);
      if (advice !== null) said.push(advice);
      if (advice !== null) this.lowered = advice === "lower";
    }
    return said;
  }

  leap(seconds: number) {
    this.glance = { ...this.glance, position: this.glance.position + seconds };
  }
}

describe("a device that decodes", () => {
  it("in time hears nothing, and neither does one that leaves out a few frames", () => {
    expect(new Device().run(300, 60)).toEqual([]);
    expect(new Device().run(300, 50)).toEqual([]);
  });

  it("too slowly is told so after four seconds, and again while it stays so", () => {
    const device = new Device();
    expect(device.run(4, 40)).toEqual([]);
    expect(device.run(1, 40)).toEqual(["lower"]);
    expect(device.run(6, 40)).toEqual(["lower"]);
  });

  it("may show no more than its screen can while it catches up", () => {
    expect(new Device().run(20, 60, { rate: 90, speed: 1.5 })).toEqual([]);
    expect(new Device().run(6, 30, { rate: 90, speed: 1.5 })).toEqual(["lower"]);
  });

  it("is at rest with slides, of which there are few frames", () => {
    expect(new Device().run(60, 0.5, { rate: 0.5 })).toEqual([]);
    expect(new Device().run(60, 1, { rate: 2 })).toEqual([]);
  });

  it("but stands still is told so, though no frame was left out and leaps hide it", () => {
    const device = new Device();
    device.run(3, 0, { rate: 0, speed: 0 });
    device.leap(3);
    expect(device.run(2, 0, { rate: 0, speed: 0 })).toEqual(["lower"]);
  });

  it("is not judged while nothing is to be shown", () => {
    expect(new Device().run(60, 0, { rate: 0, speed: 0, due: false })).toEqual([]);
    const device = new Device();
    device.run(3, 0, { speed: 0 });
    device.run(1, 0, { speed: 0, due: false });
    expect(device.run(3, 0, { speed: 0 })).toEqual([]);
  });

  it("is judged anew when the count of frames begins again", () => {
    const device = new Device();
    device.run(3, 0);
    device.strain.restart();
    expect(device.run(3, 0)).toEqual([]);
    expect(
      device.strain.look({ nowS: 9, position: 9, total: 0, dropped: 0, frameRate: 60, due: true }, false),
    ).toBe(null);
  });
});

describe("the next better level", () => {
  it("is tried after a minute without strain, once lowered", () => {
    const device = new Device();
    expect(device.run(5, 30)).toEqual(["lower"]);
    expect(device.run(59, 60)).toEqual([]);
    expect(device.run(10, 60)).toEqual(["higher"]);
    expect(device.run(200, 60), "nothing is lowered any more").toEqual([]);
  });

  it("is tried after twice as long when it was too much once more", () => {
    const device = new Device();
    device.run(5, 30);
    device.run(69, 60);
    expect(device.run(5, 30)).toEqual(["lower"]);
    device.strain.restart();
    expect(device.run(119, 60)).toEqual([]);
    expect(device.run(15, 60)).toEqual(["higher"]);
  });
});
