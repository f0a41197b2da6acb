"""
The door to a Jenkins controller: start a job with parameters, follow it from the queue to its result.

Credentials go to the configured address alone: of `Location` and of URLs in answers only the numbers are taken, and a
redirect to another host is refused. https://www.jenkins.io/doc/book/using/remote-access-api/
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

import requests

from ci.adapters.outward import Answered, exchange
from ci.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.params_retraining import Jenkins as Settings

_RETRIED = {429, 500, 502, 503, 504}
_REFUSED = {
    400: "takes no such parameters", 401: "does not know the user or the token", 403: "does not let the user build it",
    404: "has no such job, or hides it from the user", 405: "takes no POST there", 409: "says that the job is disabled",
}  # fmt: skip
_NEWEST = "builds[number,result,building,actions[parameters[name,value]]]{0,50}"


class Controller:
    """One controller and one job."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str] = os.environ,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Take where it is.

        Raises:
            BadInput: the environment does not hold a user and a token.
        """
        user, token = environ.get(settings.user_env), environ.get(settings.token_env)
        if not user or not token:
            raise BadInput(f"{settings.token_env if user else settings.user_env}: not set in the environment",
                           hint="Jenkins wants a user's name and an API token")  # fmt: skip
        self._settings, self._sleep = settings, sleep
        self._root = str(settings.url).rstrip("/") + "/"
        self._job = "".join(f"job/{quote(part, safe='')}/" for part in settings.job.split("/"))
        self._session = requests.Session()
        self._session.auth = (user, token)
        self._session.verify = settings.ca or True
        self._crumb: dict[str, str] | None = None

    @property
    def place(self) -> str:
        """Which job, where."""
        return f"{self._settings.job} of {urlsplit(self._root).netloc}"

    def start(self, parameters: Mapping[str, str], known_by: str) -> tuple[str | None, str | None]:
        """
        Ask for a build; return the numbers of its queue item and, where it has begun already, of the build.

        A try that was not answered may have arrived: before another one, the queue and the newest builds are searched
        for one whose parameter `known_by` has the same value.

        Raises:
            BadInput: refused. Unavailable: no answer after all tries.
        """
        for place in range(self._settings.tries):
            if place and (found := self.find(known_by, parameters[known_by])):
                return found
            try:
                answer = self._post(f"{self._job}buildWithParameters", parameters)
            except Unavailable:
                if place + 1 == self._settings.tries:
                    raise
                self._wait(place)
                continue
            if answer.status == 201:
                return _number(r"/queue/item/(\d+)", answer.headers.get("Location", ""), self.place), None
            if answer.status not in _RETRIED:
                raise BadInput(f"{self.place}: {_REFUSED.get(answer.status, f'answered with {answer.status}')}")
            self._wait(place)
        raise Unavailable(f"{self.place}: answered with an error {self._settings.tries} times")

    def find(self, name: str, value: str) -> tuple[str | None, str | None] | None:
        """Look for a build, waiting or begun, by one of its parameters; the 50 newest are searched."""
        queue = self._get("queue/api/json?tree=items[id,actions[parameters[name,value]]]") or {}
        for item in _dicts(queue, "items"):
            if _has(item, name, value):
                return str(item.get("id")), None
        job = self._get(f"{self._job}api/json?tree={_NEWEST}") or {}
        for build in _dicts(job, "builds"):
            if _has(build, name, value):
                return None, str(build.get("number"))
        return None

    def waiting(self, item: str) -> tuple[str | None, str]:
        """
        Look at a queue item; return the build's number once it has begun, and what there is to tell.

        An item that is not there is either so new or so old that the controller does not show it: the caller waits.

        Raises:
            Cancelled: somebody took it out of the queue.
        """
        document = self._get(f"queue/item/{item}/api/json")
        if document is None:
            return None, "not shown in the queue (yet)"
        if document.get("cancelled"):
            raise Cancelled(f"{self.place}: somebody took it out of the queue")
        executable = document.get("executable")
        if isinstance(executable, dict) and isinstance(executable.get("number"), int):
            return str(executable["number"]), "begun"
        state = "blocked" if document.get("blocked") else "stuck" if document.get("stuck") else "waiting"
        return None, f"{state}: {str(document.get('why') or 'no reason given')[:300]}"

    def built(self, number: str) -> str | None:
        """Return a build's result: SUCCESS, UNSTABLE, FAILURE, ABORTED, NOT_BUILT; None while it runs."""
        document = self._get(f"{self._job}{number}/api/json?tree=building,inProgress,result")
        if document is None:
            raise Unavailable(f"{self.place}: does not know build {number} any more")
        running = document.get("building", True) or document.get("inProgress", False)
        return None if running or not document.get("result") else str(document["result"])

    def url_of(self, number: str) -> str:
        """Name a build for people."""
        return f"{self._root}{self._job}{number}/"

    def _post(self, path: str, data: Mapping[str, str]) -> Answered:
        """POST with a crumb; one that has run out with its session is fetched again, once."""
        answer = self._send("POST", path, data=dict(data), headers=self._crumbs())
        if answer.status == 403 and b"crumb" in answer.body.lower():
            self._crumb = None
            answer = self._send("POST", path, data=dict(data), headers=self._crumbs())
        return answer

    def _crumbs(self) -> dict[str, str]:
        """Return the header against forged requests; none where the controller has no issuer."""
        if self._crumb is None:
            document = self._get("crumbIssuer/api/json")
            field, value = (document or {}).get("crumbRequestField"), (document or {}).get("crumb")
            self._crumb = {str(field): str(value)} if field and value else {}
        return self._crumb

    def _get(self, path: str) -> dict[str, Any] | None:
        """
        GET a JSON object, patiently; None if there is none (404).

        Raises:
            Unavailable: no answer after all tries, or none that is JSON. BadInput: refused.
        """
        trouble = Unavailable(f"{self.place}: does not answer")
        for place in range(self._settings.tries):
            if place:
                self._wait(place - 1)
            try:
                answer = self._send("GET", path)
            except Unavailable as error:
                trouble = error
                continue
            if answer.status == 404:
                return None
            if answer.status == 200:
                return _object(answer.body, self.place)
            if answer.status not in _RETRIED:
                raise BadInput(f"{self.place}: {_REFUSED.get(answer.status, f'answered with {answer.status}')}")
            trouble = Unavailable(f"{self.place}: answers with {answer.status}")
        raise trouble

    def _send(self, method: str, path: str, **more: Any) -> Answered:
        """Send one request; a GET may be redirected, up to three times, within the same host."""
        url, settings = self._root + path, self._settings
        for _ in range(4):
            answer = exchange(
                self._session, method, url, timeout_s=settings.timeout_s, private=settings.private, **more
            )
            if answer.status not in {301, 302, 303, 307, 308}:
                return answer
            url = self._same_host(urljoin(url, answer.headers.get("Location", "")))
            if method != "GET":
                raise BadInput(f"{self.place}: redirects a POST", hint="is `retraining.jenkins.url` its own address?")
        raise BadInput(f"{self.place}: redirects in circles")

    def _same_host(self, url: str) -> str:
        mine, theirs = urlsplit(self._root), urlsplit(url)
        if (mine.scheme, mine.netloc) != (theirs.scheme, theirs.netloc):
            raise BadInput(f"{self.place}: redirects to {theirs.scheme}://{theirs.hostname}: refused",
                           hint="credentials go to `retraining.jenkins.url` alone")  # fmt: skip
        return url

    def _wait(self, place: int) -> None:
        self._sleep(min(30.0, 0.5 * 2**place))


class Cancelled(Exception):  # noqa: N818  # reads as the event that it is
    """A queue item was taken out of the queue."""


def _number(pattern: str, text: str, place: str) -> str:
    found = re.search(pattern, text)
    if not found:
        raise BadInput(f"{place}: took the request, but named no queue item", hint="is this really a Jenkins?")
    return found.group(1)


def _object(raw: bytes, place: str) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise Unavailable(f"{place}: its answer is not JSON") from error
    if not isinstance(document, dict):
        raise Unavailable(f"{place}: its answer is not an object")
    return document


def _dicts(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = document.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _has(item: Mapping[str, Any], name: str, value: str) -> bool:
    return any(
        parameter.get("name") == name and parameter.get("value") == value
        for action in _dicts(item, "actions") for parameter in _dicts(action, "parameters")
    )  # fmt: skip
