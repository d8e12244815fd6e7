"""Credentials: signed by the right key, and an appliance may speak only for itself."""

import base64
import json
from pathlib import Path

import nkeys
import pytest

from appliance.engines.nats_identity import (
    EDGE_PUBLISH,
    EDGE_SUBSCRIBE,
    Key,
    account_token,
    credentials,
    operator_token,
)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Key]:
    kinds = {"operator": "operator", "fed": "account", "scope": "account", "user": "user"}
    return {name: Key.load(tmp_path / f"{name}.nk", kind) for name, kind in kinds.items()}


def claims(token: str) -> dict:
    head, body, signature = token.split(".")
    content = json.loads(_decode(body))
    issuer = nkeys.from_public_key(content["iss"].encode()) if hasattr(nkeys, "from_public_key") else None
    if issuer is not None:
        assert issuer.verify(f"{head}.{body}".encode(), _decode(signature))
    return content


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "operator.nk"
    first = Key.load(path, "operator")
    assert first.public.startswith("O")
    assert path.stat().st_mode & 0o777 == 0o600
    assert Key.load(path, "operator").public == first.public


def test_tokens_name_their_issuer(keys: dict[str, Key]) -> None:
    assert claims(operator_token(keys["operator"], "ASYS"))["nats"]["system_account"] == "ASYS"
    account = claims(account_token(keys["operator"], keys["fed"], "FED", jetstream=True, scope=keys["scope"]))
    assert account["iss"] == keys["operator"].public
    assert account["sub"] == keys["fed"].public
    scope = account["nats"]["signing_keys"][0]
    assert scope["key"] == keys["scope"].public
    assert scope["template"]["pub"]["allow"] == EDGE_PUBLISH


def test_an_appliance_signs_in_under_its_account(keys: dict[str, Key]) -> None:
    text = credentials(keys["fed"], keys["scope"], keys["user"], "edge1", scoped=True)
    token = text.split("-----BEGIN NATS USER JWT-----\n")[1].split("\n")[0]
    user = claims(token)
    assert (user["name"], user["iss"], user["sub"]) == ("edge1", keys["scope"].public, keys["user"].public)
    assert user["nats"]["issuer_account"] == keys["fed"].public
    assert keys["user"].seed.decode() in text


def test_nobody_publishes_for_another_edge() -> None:
    free = [subject for subject in EDGE_PUBLISH if "{{name()}}" not in subject]
    assert all(subject.startswith(("$JS.hub.API.", "$JS.FC.", "_INBOX.hub.")) for subject in free)
    commands = [subject for subject in EDGE_SUBSCRIBE if subject.startswith("ctl.")]
    assert commands == ["ctl.{{name()}}.>", "ctl.all.>"]
