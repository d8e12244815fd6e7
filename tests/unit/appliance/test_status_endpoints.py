"""The URLs that a node tells."""

from appliance.runtime.settings import Settings, replace
from appliance.supervisor.status import endpoints


def test_tls_has_its_own_urls_when_it_is_enabled() -> None:
    found = endpoints(Settings())
    assert found["web"] == "http://127.0.0.1:8080/"
    assert found["web_tls"] == "https://127.0.0.1:8443/"
    assert found["rtmps"] == "rtmps://127.0.0.1:1936/live"
    assert found["irc"] == "irc://127.0.0.1:6667"
    assert found["ircs"] == "ircs://127.0.0.1:6697"
    plain = endpoints(replace(Settings(), {"tls": {"enabled": False}}))
    assert plain["web"] == found["web"]
    assert plain["irc"] == found["irc"]
    assert not {"web_tls", "rtmps", "ircs"} & plain.keys()


def test_addresses_of_version_6_are_in_brackets() -> None:
    assert (
        endpoints(replace(Settings(), {"node": {"host": "2001:db8::7"}}))["rtmp"]
        == "rtmp://[2001:db8::7]:1935/live"
    )
    assert endpoints(replace(Settings(), {"node": {"host": "::"}}))["web"] == "http://127.0.0.1:8080/"
