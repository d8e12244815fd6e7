"""Which addresses are pages, and who may put them into a frame."""

from edge.origin.static import Pages


def frames(response):
    policy = dict(response.fields)["Content-Security-Policy"]
    (rule,) = [rule for rule in policy.split("; ") if rule.startswith("frame-ancestors")]
    return rule.split(" ", 1)[1]


def test_only_the_embedded_player_may_be_framed_elsewhere(tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html>")
    pages = Pages(tmp_path, ("wss://chat.example",))
    for path in ("/", "/index.html", "/ada", "/studio", "/studio/keys", "/embed", "/embed/"):
        assert frames(pages.find(path, gzip=False)) == "'self'", path
    for path in ("/embed/ada", "/embed/Ada_1/", "/embed/ada/chat"):
        for gzip in (False, True):
            found = pages.find(path, gzip=gzip)
            assert frames(found) == "*"
            assert "connect-src 'self' wss://chat.example" in dict(found.fields)["Content-Security-Policy"]
    for path in ("/embed/-x", "/embed/a/b", "/embed/a/chat/b", "/embed/" + "a" * 32, "/embed/a\n"):
        assert pages.find(path, gzip=False) is None, path


def test_without_built_pages_their_addresses_say_so():
    pages = Pages(None)
    for path in ("/", "/ada", "/embed/ada"):
        assert pages.find(path, gzip=False).status == 503
    assert pages.find("/assets/x.js", gzip=False) is None
