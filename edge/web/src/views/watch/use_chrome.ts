import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { LivePlayer } from "../../player/live_player";

const IDLE_MS = 2800;

/** Shows the controls while somebody uses them, and always while nothing moves or a menu is held open. */
export function useChrome(frame: RefObject<HTMLElement | null>, player: LivePlayer | null, held: boolean) {
  const awake = useSignal(true);
  /** Before the press that is going on: the press itself wakes the controls. */
  const wasAwake = useRef(true);
  const control = useMemo(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    return {
      wake() {
        awake.value = true;
        clearTimeout(timer);
        timer = setTimeout(() => {
          awake.value = false;
        }, IDLE_MS);
      },
      rest() {
        clearTimeout(timer);
        awake.value = false;
      },
    };
  }, [awake]);

  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const down = () => {
      wasAwake.current = awake.value;
    };
    element.addEventListener("pointerdown", down, { capture: true });
    const events = ["pointermove", "pointerdown", "focusin"] as const;
    for (const name of events) element.addEventListener(name, control.wake);
    element.addEventListener("pointerleave", control.rest);
    control.wake();
    return () => {
      element.removeEventListener("pointerdown", down, { capture: true });
      for (const name of events) element.removeEventListener(name, control.wake);
      element.removeEventListener("pointerleave", control.rest);
      control.rest();
    };
  }, [frame, control, awake]);

  const still = player?.paused.value ?? false;
  return {
    visible: awake.value || still || held,
    wake: control.wake,
    /** For fingers: shows the controls, or puts them away. */
    toggle: () => (wasAwake.current ? control.rest() : control.wake()),
  };
}
