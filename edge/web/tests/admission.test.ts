import { signal } from "@preact/signals";
import { describe, expect, it } from "vitest";
import { clockAheadMs, type GrantAnswer, readGrant } from "../src/api/grants";
import { Admission, type Desk, untilRenewal, withPrefix } from "../src/player/admission";

interface Asked {
  readonly what: string;
  answer(answer: GrantAnswer): Promise<void>;
}

/** A desk whose answers and clock are given by hand. */
class Hand implements Desk {
  now = 0;
  readonly asked: Asked[] = [];
  waiting: { readonly task: () => void; readonly at: number } | null = null;

  ask = (token: string) => this.open(`ask ${token}`);
  renew = (grant: string) => this.open(`renew ${grant}`);
  clock = () => this.now;

  later(task: () => void, ms: number): () => void {
    const mine = { task, at: this.now + ms };
    this.waiting = mine;
    return () => {
      if (this.waiting === mine) this.waiting = null;
    };
  }

  /** Lets time go on to what waits. */
  wake(): void {
    const { waiting } = this;
    if (waiting === null) throw new Error("nothing waits");
    this.waiting = null;
    this.now = waiting.at;
    waiting.task();
  }

  async answer(answer: GrantAnswer): Promise<void> {
    await this.asked.at(-1)?.answer(answer);
  }

  private open(what: string): Promise<GrantAnswer> {
    return new Promise((resolve) => {
      this.asked.push({
        what,
        answer: async (answer) => {
          resolve(answer);
          await Promise.resolve();
          await Promise.resolve();
        },
      });
    });
  }
}

function granted(grant: string, expiresAt: number): GrantAnswer {
  return { kind: "granted", grant, expiresAt };
}

const NO_FOLLOWER: GrantAnswer = { kind: "refused", status: 403, code: "followers_only", detail: "" };

describe("a viewer's clock", () => {
  it("is compared with the server's, to the second", () => {
    const theirs = Date.UTC(2026, 10, 30, 20, 0, 0);
    expect(clockAheadMs("Mon, 30 Nov 2026 20:00:00 GMT", theirs - 3_600_000)).toBe(-3_600_000);
    for (const odd of [null, "", "yesterday"]) expect(clockAheadMs(odd, theirs)).toBe(0);
  });
});

describe("admission", () => {
  it("asks for nothing where a channel is for everybody", () => {
    const desk = new Hand();
    const admission = new Admission(signal("t"), desk);
    expect(admission.state.value.phase).toBe("unknown");
    admission.need("public");
    expect(admission.state.value).toEqual({ phase: "admitted", prefix: "" });
    expect(desk.asked).toEqual([]);
  });

  it("wants a token, and asks as soon as there is one", async () => {
    const desk = new Hand();
    const token = signal<string | null>(null);
    const admission = new Admission(token, desk);
    admission.need("followers");
    expect(admission.state.value).toMatchObject({ phase: "refused", why: "no_token" });
    token.value = "t1";
    expect(admission.state.value.phase).toBe("asking");
    await desk.answer({ kind: "refused", status: 401, code: "unauthenticated", detail: "" });
    expect(admission.state.value).toMatchObject({ phase: "refused", why: "bad_token" });
    expect(desk.waiting).toBeNull();
    token.value = null; // the chat has thrown it away
    expect(admission.state.value).toMatchObject({ phase: "refused", why: "bad_token" });
    token.value = "t2";
    await desk.answer(granted("g", 600_000));
    expect(admission.state.value).toEqual({ phase: "admitted", prefix: "/g/g" });
    expect(desk.asked.map((one) => one.what)).toEqual(["ask t1", "ask t2"]);
    token.value = null; // and now its owner has
    expect(admission.state.value).toMatchObject({ phase: "refused", why: "no_token" });
  });

  it("renews a grant before it ends, patiently while nobody answers", async () => {
    const desk = new Hand();
    const admission = new Admission(signal("t"), desk);
    admission.need("subscribers");
    await desk.answer(granted("g1", 600_000));
    desk.wake();
    expect(desk.now).toBeLessThan(540_000);
    await desk.answer({ kind: "away" });
    expect(admission.state.value).toEqual({ phase: "admitted", prefix: "/g/g1" });
    desk.wake();
    await desk.answer(granted("g2", 1_200_000));
    expect(admission.state.value).toEqual({ phase: "admitted", prefix: "/g/g2" });
    expect(desk.asked.map((one) => one.what)).toEqual(["ask t", "renew g1", "renew g1"]);
  });

  it("looks again whether somebody has followed meanwhile", async () => {
    const desk = new Hand();
    const admission = new Admission(signal("t"), desk);
    admission.need("followers");
    await desk.answer(NO_FOLLOWER);
    expect(admission.state.value).toMatchObject({ phase: "refused", why: "followers" });
    desk.wake();
    expect(desk.now).toBeGreaterThan(5000);
    await desk.answer(granted("g", 700_000));
    expect(admission.state.value.phase).toBe("admitted");
  });

  it("is over when the grant was revoked, which a player in trouble finds out", async () => {
    const desk = new Hand();
    const admission = new Admission(signal("t"), desk);
    admission.need("followers");
    await desk.answer(granted("g", 600_000));
    desk.now = 10_000;
    admission.check();
    admission.check();
    expect(desk.asked.at(-1)?.what).toBe("renew g");
    expect(desk.asked).toHaveLength(2);
    await desk.answer({ kind: "refused", status: 403, code: "", detail: "This grant was revoked." });
    expect(admission.state.value.phase).toBe("asking");
    await desk.answer(NO_FOLLOWER);
    expect(admission.state.value).toMatchObject({ phase: "refused", why: "followers" });
  });

  it("does not listen to answers of another time", async () => {
    const desk = new Hand();
    const admission = new Admission(signal("t"), desk);
    admission.need("followers");
    const [first] = desk.asked;
    admission.need("public");
    await first?.answer(NO_FOLLOWER);
    expect(admission.state.value).toEqual({ phase: "admitted", prefix: "" });
    admission.close();
  });
});

describe("a prefix", () => {
  it("stands before paths of the channel's media, in place of an older one", () => {
    expect(withPrefix("/live/ada/index.m3u8", "/g/new")).toBe("/g/new/live/ada/index.m3u8");
    expect(withPrefix("https://tv.example:8443/g/o-l_d/media/b/360p/p7.m4s?_HLS_msn=3", "/g/new")).toBe(
      "https://tv.example:8443/g/new/media/b/360p/p7.m4s?_HLS_msn=3",
    );
    expect(withPrefix("http://tv.example/g/old/thumb/ada/1.webp", "")).toBe(
      "http://tv.example/thumb/ada/1.webp",
    );
  });
  it("stands before nothing else", () => {
    for (const other of ["/beacon", "blob:http://tv.example/1", "data:,x", "/g/x/healthz"]) {
      expect(withPrefix(other, "/g/new")).toBe(other);
    }
  });
});

describe("a grant's document", () => {
  it("is read with care", () => {
    expect(readGrant({ grant: "abc", expires_at: 5 })).toEqual(granted("abc", 5));
    expect(readGrant({ grant: "abc", expires_at: 5 }, 3_600_000)).toEqual(granted("abc", 3_600_005));
    expect(readGrant({ grant: null })).toEqual({ kind: "open" });
    for (const odd of [null, {}, { grant: "a/b", expires_at: 5 }, { grant: "abc" }]) {
      expect(readGrant(odd)).toEqual({ kind: "away" });
    }
  });
  it("is renewed well before its end, but not at once", () => {
    expect(untilRenewal(600_000, () => 1)).toBe(400_000);
    expect(untilRenewal(600_000, () => 0)).toBe(360_000);
    expect(untilRenewal(10_000)).toBe(5000);
  });
});
