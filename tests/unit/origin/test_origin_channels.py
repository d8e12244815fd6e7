"""The channels of the directory by name."""

import msgspec

from appliance.contracts.directory import ChannelRecord
from edge.origin.channels import Channels
from edge.origin.metrics import Tally


def record(channel_id, name):
    return msgspec.json.encode(ChannelRecord(channel_id=channel_id, channel=name, user_id="u"))


def test_a_channel_is_known_at_once_and_forgotten_at_once():
    channels = Channels(Tally())
    assert channels.get("alice") is None
    channels.directory_changed("channel.1", record("1", "alice"))
    found = channels.get("alice")
    assert found is not None
    assert found.channel_id == "1"
    channels.directory_changed("channel.1", None)
    assert channels.get("alice") is None


def test_a_renamed_channel_leaves_no_old_name():
    channels = Channels(Tally())
    channels.directory_changed("channel.1", record("1", "alice"))
    channels.directory_changed("channel.1", record("1", "alicia"))
    assert channels.get("alice") is None
    assert channels.get("alicia") is not None


def test_a_name_that_passed_to_another_channel_stays_with_it():
    channels = Channels(Tally())
    channels.directory_changed("channel.1", record("1", "alice"))
    channels.directory_changed("channel.2", record("2", "alice"))
    channels.directory_changed("channel.1", None)
    found = channels.get("alice")
    assert found is not None
    assert found.channel_id == "2"


def test_other_and_broken_records_are_not_channels():
    tally = Tally()
    channels = Channels(tally)
    channels.directory_changed("key.abc", record("1", "alice"))
    channels.directory_changed("channel.2", b"not json")
    assert channels.get("alice") is None
    assert tally.events["bad_record"] == 1
