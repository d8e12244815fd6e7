"""The rooms over IRC: what bots and clients of Twitch's chat send and expect, beside WebSocket clients."""

import asyncio

import msgspec
import pytest
import uvloop
import websockets
from chat_site import CHANNEL_ID, Chatter, site
from irc_clients import CAPS, irc, tags_of, welcome

from appliance.contracts.directory import ChannelRecord
from appliance.contracts.moderation import SubscriberRecord
from appliance.contracts.subjects import channel_key
from appliance.runtime.clock import now_ms

ROOM_STATE = {
    "emote-only": "0",
    "followers-only": "-1",
    "r9k": "0",
    "room-id": CHANNEL_ID,
    "slow": "0",
    "subs-only": "0",
}
OTHER_ID = "0193aaaa-0000-7000-8000-00000000c002"


def on_gateway(tmp_path, scenario, **changes):
    async def run():
        async with asyncio.timeout(40), site(tmp_path) as made:
            await scenario(made, await made.gateway(irc_port=0, **changes))

    uvloop.run(run())


async def add_channel(made, name="other", channel_id=OTHER_ID):
    record = ChannelRecord(channel_id=channel_id, channel=name, user_id="u-carol")
    await made.directory.put(channel_key(channel_id), msgspec.json.encode(record))


@pytest.mark.parametrize("kind", ["tcp", "ws"])
def test_a_client_with_two_connections_line_by_line(tmp_path, kind):
    """As Chatterino does: one connection reads without a name, another one writes."""

    async def scenario(made, gateway):
        await add_channel(made)
        async with irc(gateway, kind) as read, irc(gateway, kind) as write:
            await read.send(CAPS, "PASS SCHMOOPIIE", "NICK justinfan12345", "JOIN #alice,#other")
            await read.expect(
                ":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands twitch.tv/membership",
                *welcome("justinfan12345"),
            )
            for channel, room_id in (("alice", CHANNEL_ID), ("other", OTHER_ID)):
                await read.expect(
                    f":justinfan12345!justinfan12345@justinfan12345.tmi.twitch.tv JOIN #{channel}",
                    f":justinfan12345.tmi.twitch.tv 353 justinfan12345 = #{channel} :justinfan12345",
                    f":justinfan12345.tmi.twitch.tv 366 justinfan12345 #{channel} :End of /NAMES list",
                )
                tags, line = tags_of(await read.line())
                assert tags == {**ROOM_STATE, "room-id": room_id}
                assert line == f":tmi.twitch.tv ROOMSTATE #{channel}"
            await write.send("PASS oauth:token-bob", "NICK bob", CAPS, "JOIN #alice", "PING tmi.twitch.tv")
            await write.expect(
                *welcome("bob"),
                ":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands twitch.tv/membership",
                ":bob!bob@bob.tmi.twitch.tv JOIN #alice",
                ":bob.tmi.twitch.tv 353 bob = #alice :bob",
                ":bob.tmi.twitch.tv 366 bob #alice :End of /NAMES list",
            )
            mine = {
                "badge-info": "", "badges": "", "color": "", "display-name": "bob", "emote-sets": "0", "mod": "0",
                "subscriber": "0", "turbo": "0", "user-id": "u-bob", "user-type": "",
            }  # fmt: skip
            assert tags_of(await write.line()) == (mine, ":tmi.twitch.tv USERSTATE #alice")
            assert tags_of(await write.line()) == (ROOM_STATE, ":tmi.twitch.tv ROOMSTATE #alice")
            await write.expect(":tmi.twitch.tv PONG tmi.twitch.tv :tmi.twitch.tv")
            await write.send("@client-nonce=n1 PRIVMSG #alice :hello there")
            tags, line = tags_of(await write.line())
            said = tags.pop("id")
            assert (tags, line) == ({**mine, "client-nonce": "n1"}, ":tmi.twitch.tv USERSTATE #alice")
            heard, line = tags_of(await read.until("PRIVMSG"))
            assert line == ":bob!bob@bob.tmi.twitch.tv PRIVMSG #alice :hello there"
            assert abs(int(heard.pop("tmi-sent-ts")) - now_ms()) < 20_000
            assert heard == {
                "badge-info": "", "badges": "", "color": "", "display-name": "bob", "emotes": "", "first-msg": "0",
                "flags": "", "id": said, "mod": "0", "returning-chatter": "0", "room-id": CHANNEL_ID,
                "subscriber": "0", "turbo": "0", "user-id": "u-bob", "user-type": "",
            }  # fmt: skip
            await write.send("PART #alice", "QUIT :bye")
            assert (await write.rest())[-1] == ":bob!bob@bob.tmi.twitch.tv PART #alice"

    on_gateway(tmp_path, scenario)


def test_both_ways_between_irc_and_websocket(tmp_path):
    async def scenario(made, gateway):
        record = SubscriberRecord(channel_id=CHANNEL_ID, user_id="u-bob", tier=2, since_ms=1, until_ms=now_ms() * 2)
        await made.directory.put(f"subscriber.{CHANNEL_ID}.u-bob", msgspec.json.encode(record))
        async with (
            irc(gateway) as bob,
            irc(gateway) as reader,
            websockets.connect(gateway.ws("?token=token-alice")) as one,
        ):
            alice = Chatter(one)
            await alice.until("hello")
            await bob.log_in("bob", "alice")
            await reader.log_in("carol", "alice")
            await alice.say("/emote Kappa")
            await alice.until("ack")
            await bob.send("PRIVMSG #alice :Kappa über Kappa")
            assert "id=" in await bob.until("USERSTATE")
            message = (await alice.until("messages"))["messages"][0]
            assert message["badges"][0].startswith("subscriber/2/")
            tags, line = tags_of(await reader.until("PRIVMSG"))
            assert line.endswith("PRIVMSG #alice :Kappa über Kappa")
            assert tags["emotes"] == "Kappa:0-4,11-15"
            months = message["badges"][0].rpartition("/")[2]
            assert (tags["badge-info"], tags["subscriber"]) == (f"subscriber/{months}", "1")
            assert tags["badges"] == f"subscriber/{2000 + int(months)}"
            await reader.send(
                f"@reply-parent-msg-id={message['message_id']} PRIVMSG #alice :\x01ACTION waves\\Kappa Kappa\x01"
            )
            tags, line = tags_of(await bob.until("PRIVMSG"))
            assert line.endswith("PRIVMSG #alice :\x01ACTION waves\\Kappa Kappa\x01")
            assert tags["emotes"] == "Kappa:12-16"
            assert tags["reply-parent-msg-id"] == message["message_id"]
            assert tags["reply-parent-user-login"] == "bob"
            assert tags["reply-parent-msg-body"] == "Kappa\\süber\\sKappa"
            assert (await alice.until("messages"))["messages"][0]["message"] == "/me waves\\Kappa Kappa"
            await alice.say("from the web")
            tags, line = tags_of(await bob.until("PRIVMSG"))
            assert line == ":alice!alice@alice.tmi.twitch.tv PRIVMSG #alice :from the web"
            assert tags["badges"] == "broadcaster/1"
            assert not [line for line in await bob.idle() if "PRIVMSG" in line]  # not what it said itself

    on_gateway(tmp_path, scenario)


def test_order_is_the_same_for_all_but_the_author(tmp_path):
    async def scenario(made, gateway):
        async with (
            irc(gateway) as bob,
            irc(gateway, "ws") as reader,
            websockets.connect(gateway.ws("?token=token-alice")) as one,
        ):
            alice = Chatter(one)
            await alice.until("hello")
            await bob.log_in("bob", "alice", caps="")
            await reader.log_in("carol", "alice", caps="")
            for number in range(30):
                await bob.send(f"PRIVMSG #alice :b{number}")
                await alice.say(f"a{number}")
                await asyncio.sleep(0.003 * (number % 5))
            await alice.until_seen(60)
            heard = [(await reader.until("PRIVMSG")).rpartition(":")[2] for _ in range(60)]
            assert heard == alice.seen
            others = [(await bob.until("PRIVMSG")).rpartition(":")[2] for _ in range(30)]
            assert others == [text for text in heard if text[0] == "a"]

    on_gateway(tmp_path, scenario)


def test_modes_and_refusals(tmp_path):
    async def scenario(made, gateway):
        async with irc(gateway) as alice, irc(gateway) as bob:
            await alice.log_in("alice", "alice")
            await bob.log_in("bob", "alice")

            async def told(client, msg_id, text=""):
                tags, line = tags_of(await client.until(" NOTICE "))
                assert tags == {"msg-id": msg_id}
                assert line.startswith(":tmi.twitch.tv NOTICE #alice :")
                assert text in line

            async def does(text, msg_id):
                await alice.send(f"PRIVMSG #alice :{text}")
                await told(alice, msg_id)

            await does("/slow 30", "slow_on")
            assert tags_of(await bob.until("ROOMSTATE"))[0] == {"room-id": CHANNEL_ID, "slow": "30"}
            await bob.send("PRIVMSG #alice :first")
            await bob.until("USERSTATE")
            await bob.send("PRIVMSG #alice :second")
            await told(bob, "msg_slowmode", "30 seconds")
            await does(".slowoff", "slow_off")
            await does("/uniquechat", "r9k_on")
            await bob.send("PRIVMSG #alice :First!")
            await told(bob, "msg_r9k")
            await does("/uniquechatoff", "r9k_off")
            await does("/emoteonly", "emote_only_on")
            await bob.send("PRIVMSG #alice :words")
            await told(bob, "msg_emoteonly")
            await does("/emoteonlyoff", "emote_only_off")
            await does("/followers 10", "followers_on")
            await bob.send("PRIVMSG #alice :words")
            await told(bob, "msg_followersonly", "10 minutes")
            await does("/followersoff", "followers_off")
            await does("/subscribers", "subs_on")
            assert tags_of(await bob.until("subs-only=1"))[0] == {"room-id": CHANNEL_ID, "subs-only": "1"}
            await bob.send("PRIVMSG #alice :words", "PRIVMSG #alice :/ban carol", "PRIVMSG #alice :/timeout")
            await told(bob, "msg_subsonly")
            await told(bob, "no_permission")
            await told(bob, "usage_timeout", "/timeout user")
            await does("/subscribersoff", "subs_off")
            await does("/block badword", "block_success")
            await bob.send("PRIVMSG #alice :a badword", "PRIVMSG #alice :" + "x" * 501, "PRIVMSG #alice :\x02")
            await told(bob, "msg_rejected_mandatory")
            await told(bob, "msg_too_long")
            await told(bob, "msg_bad_characters")
            await does("/nonsense", "unrecognized_cmd")
            await does("/timeout nobody-there", "invalid_user")
            await does("/hold", "hold_success")
            await bob.send("PRIVMSG #alice :a badword again")
            await told(bob, "msg_rejected")
            await bob.send("PRIVMSG #nowhere :hi")
            tags, line = tags_of(await bob.until(" NOTICE "))
            assert (tags, line[:32]) == ({"msg-id": "msg_channel_suspended"}, ":tmi.twitch.tv NOTICE #nowhere :")
            await bob.send("PRIVMSG #alice :/help")
            await told(bob, "cmds_available")

    on_gateway(tmp_path, scenario)


def test_what_moderators_do_is_seen(tmp_path):
    async def scenario(made, gateway):
        async with (
            irc(gateway) as bob,
            irc(gateway) as plain,
            websockets.connect(gateway.ws("?token=token-alice")) as one,
        ):
            alice = Chatter(one)
            await alice.until("hello")
            await bob.log_in("bob", "alice")
            await plain.log_in("carol", "alice", caps="CAP REQ :twitch.tv/commands")
            await bob.send("PRIVMSG #alice :to be deleted")
            message = (await alice.until("messages"))["messages"][0]
            await alice.say(f"/delete {message['message_id']}")
            tags, line = tags_of(await bob.until("CLEARMSG"))
            assert (tags["target-msg-id"], tags["login"], line) == (
                message["message_id"], "bob", ":tmi.twitch.tv CLEARMSG #alice :",
            )  # fmt: skip
            await plain.until("^:tmi.twitch.tv CLEARMSG #alice :$")
            await alice.say("/announce read this")
            tags, line = tags_of(await bob.until("USERNOTICE"))
            assert (tags["msg-id"], tags["login"], line) == (
                "announcement", "alice", ":tmi.twitch.tv USERNOTICE #alice :read this",
            )  # fmt: skip
            await alice.say("/timeout carol 90")
            tags, line = tags_of(await bob.until("CLEARCHAT"))
            assert (tags["ban-duration"], tags["target-user-id"]) == ("90", "u-carol")
            assert line == ":tmi.twitch.tv CLEARCHAT #alice :carol"
            await plain.send("PRIVMSG #alice :am I?")
            assert "timed out for" in await plain.until(" NOTICE ")
            await alice.say("/clear")
            assert tags_of(await bob.until("CLEARCHAT"))[1] == ":tmi.twitch.tv CLEARCHAT #alice"
            await alice.say("/ban carol")
            assert "ban-duration" not in await bob.until("CLEARCHAT #alice :carol")
            await plain.until("NOTICE #alice :You are permanently banned from talking in alice.")
            await plain.expect(":carol!carol@carol.tmi.twitch.tv PART #alice")
            await plain.send("JOIN #alice")
            await plain.until("NOTICE #alice :You are permanently banned")
            await alice.say("/mod bob")
            await alice.until("ack")
            await bob.send("PRIVMSG #alice :/timeout alice", "PRIVMSG #alice :as a moderator")
            await bob.until("no_permission")
            assert tags_of(await bob.until("USERSTATE"))[0]["badges"] == "moderator/1"

    on_gateway(tmp_path, scenario)


def test_who_comes_and_goes_is_told(tmp_path):
    async def scenario(made, gateway):
        async with irc(gateway) as bob, websockets.connect(gateway.ws("?token=token-alice")) as one:
            await Chatter(one).until("hello")
            await bob.send(CAPS, "PASS token-bob", "NICK bob", "JOIN #alice")
            await bob.until(" 353 bob = #alice :bob alice$")
            async with irc(gateway) as carol, irc(gateway) as plain:
                await carol.log_in("carol", "alice", caps="CAP REQ twitch.tv/membership")
                await plain.log_in("carol", "alice", caps="")
                await bob.until("^:carol!carol@carol.tmi.twitch.tv JOIN #alice$")
            await bob.until("^:carol!carol@carol.tmi.twitch.tv PART #alice$")
            assert not gateway.service.server.irc.rosters._rooms.get(CHANNEL_ID).told - {"alice", "bob"}
        for _ in range(200):
            if not gateway.service.server.irc.rosters._rooms:
                break
            await asyncio.sleep(0.01)
        assert gateway.service.server.irc.rosters._rooms == {}

    on_gateway(tmp_path, scenario, names_s=0.2)


def test_a_room_that_is_heard_of_a_moment_later(tmp_path):
    async def scenario(made, gateway):
        async with irc(gateway) as bob:
            await bob.log_in("bob")
            await bob.send("JOIN #other,#nowhere")
            await asyncio.sleep(0.1)
            await add_channel(made)
            await bob.until("JOIN #other")
            tags, line = tags_of(await bob.until(" NOTICE "))
            assert tags["msg-id"] == "msg_channel_suspended"
            assert line.endswith("#nowhere :This channel does not exist or has been suspended.")

    on_gateway(tmp_path, scenario, unknown_s=0.4)
