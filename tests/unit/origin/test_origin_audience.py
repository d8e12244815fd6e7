"""How many watch: sessions that report, that say their id with requests, both, neither; over several processes."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.audience import pack_sessions, unpack_sessions
from appliance.contracts.subjects import viewers_key
from edge.access.hashes import Hashes
from edge.origin.audience import ASKS_S, TELLS_S, Audience
from edge.origin.metrics import Tally
from edge.origin.site_audience import HEARD_S, SiteAudience

B = "broadcast"
HOME = "10.0.0.1"


class Process:
    """An origin process of a site; `site` of several tell each other by `exchange`."""

    def __init__(self, name="one", most=1000):
        self.now = 100.0
        self.tally = Tally()
        self.mine = Audience(Hashes(b"key"), self.tally, most)
        self.site = SiteAudience(self.mine, name, self.tally, lambda: self.now)

    def tells(self, session, address=HOME, *, fetches=True):
        self.mine.told(B, self.mine.hashes.session(session), address, self.now, fetches=fetches)

    def leaves(self, session):
        self.mine.left(B, self.mine.hashes.session(session), self.now)

    def asks(self, session, rendition="source", address=HOME):
        self.mine.asked(B, rendition, session, address, self.now)

    def nobody_asks(self, port, address=HOME, agent="player", question=7):
        self.mine.asked_by_nobody(B, (address, agent), port, question, self.now)

    @property
    def viewers(self):
        return self.site.viewers(B)


def exchange(*processes):
    for one in processes:
        data = msgspec.msgpack.encode(one.site.record(one.now))
        for other in processes:
            other.site.heard(viewers_key(one.site.origin), data)


def test_a_session_counts_once_however_it_is_seen():
    process = Process()
    process.tells("a")
    process.asks("a")
    process.asks("b")
    process.tells("c", fetches=False)
    assert process.viewers == 3


def test_a_session_ends_by_silence_or_good_bye():
    process = Process()
    process.tells("a")
    process.asks("b")
    process.now += ASKS_S
    assert process.viewers == 1
    process.now = 100.0 + TELLS_S
    assert process.viewers == 0
    process.tells("a")
    process.leaves("a")
    assert process.viewers == 0
    process.tells("a")
    assert process.viewers == 1, "it came back"


def test_requests_without_an_id_of_those_who_report_count_once():
    process = Process()
    for port in (1, 2, 3):  # three behind one address
        process.nobody_asks(port)
    assert process.viewers == 3
    process.tells("a")
    process.tells("b")
    assert process.viewers == 3, "two of them report, and send no id with their requests"
    process.tells("w", fetches=False)
    assert process.viewers == 4, "WHEP asks for no playlists"
    process.tells("d", address="10.0.0.2")
    assert process.viewers == 5
    process.leaves("a")
    assert process.viewers == 4, "its requests are still remembered"
    process.asks("b")
    assert process.viewers == 5, "its requests do have an id, so these three are of others, but for one that left"


def test_the_demand_counts_sessions_by_rendition():
    process = Process()
    process.asks("a", "720p")
    process.asks("b", "720p")
    process.asks("b", "360p")
    assert process.site.by_rendition(B, process.now) == {"720p": 1, "360p": 1}


def test_processes_of_a_site_add_up_exactly():
    one, two = Process("one"), Process("two")
    one.asks("a")
    two.asks("a")
    one.tells("b")
    two.nobody_asks(5)  # of b, whose connections lie with both
    two.asks("c")
    exchange(one, two)
    assert one.viewers == two.viewers == 3
    assert one.site.count_all() == {B: 3}
    rungs = [process.site.by_rendition(B, process.now) for process in (one, two)]
    assert sum(found.get("source", 0) for found in rungs) == 2
    assert [process.site.leads(process.now) for process in (one, two)] == [True, False]
    one.leaves("b")
    exchange(one, two)
    assert one.viewers == two.viewers == 2
    one.now += HEARD_S
    assert one.viewers == 1, "a process that is not heard of has no viewers"


def test_what_is_remembered_is_bounded_and_forgotten():
    process = Process(most=2)
    for name in "abc":
        process.tells(name)
    assert process.viewers == 2
    assert process.tally.events["over_sessions"] == 1
    process.now += TELLS_S
    assert process.site.count_all() == {}
    assert process.mine.seen(process.now) == {}
    process.tells("c")
    assert process.viewers == 1


def test_bad_records_are_counted():
    process = Process()
    process.site.heard(viewers_key("two"), b"\xc1")
    assert process.tally.events["bad_record"] == 1
    process.site.heard("demand.two", b"\xc1")
    assert process.tally.events["bad_record"] == 1


packed = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 15)), max_size=9)


@given(packed, st.binary(max_size=12))
def test_sessions_are_packed(sessions, cut):
    assert list(unpack_sessions(pack_sessions(sessions) + cut)) == sessions


names = st.sampled_from("abcdef")
acts = st.tuples(st.sampled_from(["tells", "asks", "leaves"]), st.integers(0, 2), names)


@given(st.lists(acts, max_size=30))
def test_any_spread_of_sessions_over_processes_counts_each_once(steps):
    processes = [Process(str(number)) for number in range(3)]
    left, seen = set(), set()
    for act, number, name in steps:
        getattr(processes[number], act)(name)
        (left if act == "leaves" else seen).add(name)
    exchange(*processes)
    counts = {process.viewers for process in processes}
    assert len(counts) == 1
    assert len(seen - left) <= counts.pop() <= len(seen)
