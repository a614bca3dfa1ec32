"""``--webhook``: posts each alert as JSON to the one URL that the user gave."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from memtui import __version__
from memtui.config.urls import problem_of_url
from memtui.errors import MemtuiError, UsageError

ATTEMPTS = 3
_BACKOFF_SECONDS = 1.0
_TRY_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))


def check_url(url: str) -> None:
    """Raise UsageError for what is no http or https URL with a host, and for one that holds a password."""
    why = problem_of_url(url)
    if why:
        step = "It is something like http://127.0.0.1:9000/alerts"
        raise UsageError(f"{url} is no URL for a webhook.", why=why, next_step=step)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The alert goes to the URL of the user, and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none."""


class Webhook:
    """Posts to ``url``, three times at most; each step of the network may take ``seconds``.

    It is tried again when nobody answers and when the server says that this may help; not when it refuses.
    """

    def __init__(self, url: str, seconds: float, backoff_seconds: float = _BACKOFF_SECONDS) -> None:
        self._url, self._seconds, self._backoff_seconds = url, seconds, backoff_seconds
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __call__(self, body: bytes, ending: threading.Event) -> None:
        """Deliver one alert. Raises MemtuiError when that failed for good."""
        for attempt in range(1, ATTEMPTS + 1):
            problem, again = self._post(body)
            if not problem:
                return
            last = attempt == ATTEMPTS or not again or ending.is_set()
            if last or ending.wait(self._backoff_seconds * 2 ** (attempt - 1)):
                times = "" if attempt == 1 else f" (tried {attempt} times)"
                raise MemtuiError(f"An alert was not taken by the webhook {self._shown}: {problem}{times}.")

    @property
    def _shown(self) -> str:
        """The URL without what may be secret in it."""
        parts = urllib.parse.urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}{'/…' if parts.path.strip('/') or parts.query else ''}"

    def _post(self, body: bytes) -> tuple[str, bool]:
        """What went wrong (empty: nothing), and whether another attempt may help."""
        headers = {"Content-Type": "application/json", "User-Agent": f"memtui/{__version__}", "Connection": "close"}
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._seconds):
                return "", False
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answered {error.code}", error.code in _TRY_AGAIN
        except TimeoutError:
            return f"no answer within {self._seconds:g} s", True
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                return f"no answer within {self._seconds:g} s", True
            return str(getattr(error.reason, "strerror", None) or error.reason), True
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__, True
        except ValueError as error:
            return str(error), False
