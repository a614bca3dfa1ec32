"""What URL an alert may be posted to."""

from __future__ import annotations

import urllib.parse


def problem_of_url(url: str) -> str:
    """Why nothing can be posted to ``url``, in a sentence; empty when something can."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"{error}."
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or any(one.isspace() for one in url):
        return "It needs http:// or https://, and a host."
    if parts.username is not None:
        return "A user or password before the host is not sent."
    return ""
