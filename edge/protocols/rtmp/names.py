"""Where encoders put the stream key: in the stream name, the application, or the URL."""

from urllib.parse import parse_qsl, unquote, urlsplit

_MAX_TEXT = 2048
_IGNORED = frozenset({"", "_definst_"})
_APPLICATIONS = frozenset({"live", "app", "stream"})
KEY_PARAMETERS = ("key", "streamkey", "stream_key", "token")


def publish_target(app: str, tc_url: str, name: str) -> tuple[str, dict[str, str]]:
    """The stream key ("" when none was given) and the query parameters of all three places.

    `rtmp://host/live` + `KEY?x=y`; `live/KEY` as application with an empty name (one single URL);
    `?key=KEY` as name.
    """
    path, params = _split(name)
    app_path, app_params = _split(app)
    params = {**app_params, **params}
    if path:
        return path, params
    for parameter in KEY_PARAMETERS:
        if params.get(parameter):
            return params[parameter], params
    return _key_of_path(app_path) or _key_of_path(_url_path(tc_url)), params


def _split(text: str) -> tuple[str, dict[str, str]]:
    text = text[:_MAX_TEXT].strip().strip("'\"").replace("...vhost...", "?vhost=")
    path, _, query = text.partition("?")
    params = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=64)) if query.count("&") < 64 else {}
    return unquote(path).strip("/ "), params


def _url_path(url: str) -> str:
    try:
        return urlsplit(url[:_MAX_TEXT].strip().strip("'\"")).path.strip("/")
    except ValueError:
        return ""


def _key_of_path(path: str) -> str:
    """What follows the application's name, or the whole when it is no application's name."""
    steps = [step for step in path.split("/") if step not in _IGNORED]
    if len(steps) > 1:
        return steps[-1]
    return "" if not steps or steps[0].lower() in _APPLICATIONS else steps[0]
