"""Quotas of rooms and of all together; the filter of words; the score of spam."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.errors import BadInputError
from appliance.contracts.moderation import Links
from edge.chat.automaton import Automaton
from edge.chat.emotes import find_emotes, find_mentions, only_emotes
from edge.chat.filters import Filter, check_pattern, hosts_in
from edge.chat.folding import term_of, words_of
from edge.chat.limits import UserLimit
from edge.chat.metrics import Tally
from edge.chat.quotas import ALL_ROOMS, Quotas
from edge.chat.ranks import Rank
from edge.chat.spam import LIMIT, SpamScore

# -- quotas


class FakeLessor:
    """What is left of each key, without time."""

    def __init__(self, left):
        self.left = dict(left)
        self.away = False
        self.calls = 0

    async def lease(self, key, per_minute, wanted):
        self.calls += 1
        if self.away:
            raise OSError
        given = min(wanted, self.left.get(key, 0))
        self.left[key] = self.left.get(key, 0) - given
        return given, 0.0 if given else 30.0

    async def close(self):
        pass


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_processes_share_what_a_room_may_say():
    lessor = FakeLessor({ALL_ROOMS: 10_000, "room": 300})
    made = [Quotas(10_000, 1_000_000, lessor, Tally()) for _ in range(3)]
    tasks = [asyncio.ensure_future(one.run(lambda: 100.0)) for one in made]
    taken = 0
    for number in range(600):
        taken += made[number % 3].take("room", 100.0) == 0.0
        await settle()
    assert 300 <= taken <= 303
    assert made[0].take("room", 100.0) == pytest.approx(30.0, abs=1)
    assert lessor.calls < 40
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_without_the_counter_a_process_goes_on_by_itself():
    lessor, tally = FakeLessor({}), Tally()
    lessor.away = True
    quotas = Quotas(100, 1000, lessor, tally)
    task = asyncio.ensure_future(quotas.run(lambda: 100.0))
    taken = 0
    for _ in range(200):
        taken += quotas.take("room", 100.0) == 0.0
        await settle()
    assert taken == 100
    assert quotas.take("room", 100.0) == pytest.approx(0.6, abs=0.05)
    assert quotas.take("room", 100.7) == 0.0
    assert quotas.away
    assert tally.events["quota_away"] == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_alone_a_process_counts_alone_and_one_room_costs_another_nothing():
    quotas = Quotas(10, 15, None, Tally())
    assert [quotas.take("a", 0.0) == 0.0 for _ in range(11)] == [True] * 10 + [False]
    assert [quotas.take("b", 0.0) == 0.0 for _ in range(6)] == [True] * 5 + [False]
    assert quotas.take("b", 4.1) == 0.0


def test_who_may_write_faster():
    limit = UserLimit(20)
    assert sum(limit.take("mod", 1_000_000, 5) == 0.0 for _ in range(150)) == 100
    assert limit.take("mod", 1_000_600, 5) == 0.0


# -- words


@pytest.mark.parametrize(
    "text",
    [
        "a badword here", "BADWORD", "bádwörd", "b4dw0rd", "b.a.d.w.o.r.d", "b a d w o r d", "b-a-d word badword!",
        "ba-dword", "baaaadword", "b\u0430dw\u043erd", "badword's", "\uff42\uff41dw\uff4frd", "(badword)",
        "b@dword", "two   words", "TWO-words",
        "spamming", "xxprefix",
    ],
)  # fmt: skip
def test_tricks_are_seen_through(text):
    assert Filter([("word", "badword"), ("word", "two words"), ("word", "spam*"), ("word", "*prefix")]).blocks(text)


@pytest.mark.parametrize(
    "text",
    ["badwords", "a bad word", "notbadword", "a spa minute", "prefixes", "", "two other words", "b a d", "1337"],
)
def test_what_only_looks_like_it(text):
    assert not Filter([("word", "badword"), ("word", "two words"), ("word", "spam*"), ("word", "*prefix")]).blocks(
        text
    )


@given(st.lists(st.text("abc", min_size=1, max_size=4), max_size=8), st.text("abcd", max_size=30))
def test_the_automaton_finds_what_a_search_finds(words, text):
    found = Automaton(words).first(text)
    assert bool(found) == any(word in text for word in words)
    assert found in text


@given(st.text(max_size=80), st.text(max_size=20))
def test_any_text_is_folded(text, term):
    assert words_of(text).startswith(" ")
    word = term_of(term)
    if word and "*" not in term:
        assert Filter([("word", term)]).blocks(f"x {term} y") or not term.strip()


def test_patterns_take_time_that_grows_with_the_text_only():
    check_pattern("(a+)+$", 0)
    blocks = Filter([("pattern", "(a+)+b$"), ("pattern", "("), ("pattern", "x{3}y")])
    assert not blocks.blocks("a" * 500)  # a backtracking engine would take longer than the universe lasts
    assert blocks.blocks("XXXY")
    with pytest.raises(BadInputError):
        check_pattern("a", 50)
    with pytest.raises(BadInputError):
        check_pattern("(a{1000}){1000}", 0)


def test_links():
    text = "see https://User@Evil.com:80/x, www.foo.org and a.b.com hello.there me@mail.com foo.gg! 1.5 e.g. http://[::1]/"
    assert hosts_in(text)[:4] == ["evil.com", "foo.org", "a.b.com", "foo.gg"]
    links = Filter([("domain", "ok.com")])
    for text, forbidden in [
        ("ok.com", False),
        ("https://a.ok.com/x", False),
        ("notok.com", True),
        ("ok.com.evil.net", True),
    ]:
        assert links.forbids_links(text, Links.MODERATORS, Rank.VIEWER) is forbidden
    assert not links.forbids_links("evil.com", Links.MODERATORS, Rank.VIP)
    assert links.forbids_links("evil.com", Links.BLOCK, Rank.MODERATOR)
    assert not links.forbids_links("evil.com", Links.ALLOW, Rank.VIEWER)


# -- spam


def test_the_same_again_and_again_is_spam_and_short_cheers_are_not():
    spam = SpamScore()
    scores = [
        spam.score("bob", f"Buy followers at my page {number}!!", number, shield=False) for number in range(5)
    ]
    assert [one >= LIMIT for one in scores] == [False, False, False, True, True]
    assert spam.score("bob", "Buy followers at my page", 70_000, shield=False) == 0
    assert all(spam.score("carol", "gg", number, shield=False) == 0 for number in range(10))
    assert spam.score("dave", "something else entirely", 5, shield=False) == 0


def test_a_crowd_that_says_the_same_counts_under_the_shield_only():
    spam = SpamScore()
    scores = [spam.score(f"u{number}", "raid raid raid raid", 0, shield=number >= 10) for number in range(12)]
    assert max(scores[:10]) == 0
    assert min(scores[10:]) >= LIMIT


# -- more than text


def test_emotes_and_mentions():
    found = find_emotes("hi Kappa, Kappa 😀 PogChamp", {"Kappa", "PogChamp"})
    assert [(one.name, one.start, one.end) for one in found] == [("Kappa", 10, 15), ("PogChamp", 18, 26)]
    assert only_emotes("Kappa 👨‍👩‍👧", find_emotes("Kappa 👨‍👩‍👧", {"Kappa"}))
    assert not only_emotes("Kappa hi", find_emotes("Kappa hi", {"Kappa"}))
    assert not only_emotes("42", [])
    assert find_mentions("@bob hey @Alice-x, mail a@b.com @@no @bob") == ["bob", "Alice-x"]
