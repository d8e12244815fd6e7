"""Says something in the demo's chat now and then."""

import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request

from appliance.runtime.logs import configure, get_logger
from appliance.runtime.role import tell_ready

LINES = (
    "good evening from the edge",
    "the picture is sharp here",
    "how far behind are you? I see about a second and a half",
    "greetings from two streets away",
    "what is this test card called?",
    "the counter in the corner never skips, I have been watching it",
    "switched to 360p on the train, still smooth",
    "hello, first time here",
    "is it me or does the tone beep every second?",
    "audio and video are in step for me",
)
_BETWEEN_S = (4.0, 9.0)


def say(url: str, token: str, user: str, text: str) -> None:
    """One message. OSError when the node does not take it."""
    body = json.dumps({"user_id": user, "message": text}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - our own node, http
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        response.read()


def main() -> None:
    """Chats for ever."""
    configure(role="demo-chatters")
    log = get_logger("demo")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    tell_ready()
    url, people = os.environ["NEARCAST_DEMO_CHAT"], json.loads(os.environ["NEARCAST_DEMO_PEOPLE"])
    while True:
        time.sleep(random.uniform(*_BETWEEN_S))  # noqa: S311 - chatter, not a secret
        try:
            user, token = random.choice(people)  # noqa: S311
            say(url, token, user, random.choice(LINES))  # noqa: S311
        except (OSError, urllib.error.HTTPError) as error:
            log.warning("not_said", error=str(error))


if __name__ == "__main__":
    main()
