"""
Whether an image does what it is for: it starts read-only, without network, as nobody in particular, and answers its
golden rows; and whether it holds what no image should.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.errors import Unavailable
from ci.packaging.inside import ASK, LIST, WRITE, python
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ci.packaging import engine

HEALTHY = ("python3", "-P", "-m", "serving.healthcheck")
_START_S = 30.0
_PART = 64 << 10  # bytes of rows in one request: they travel as an environment variable
_UNWANTED = {
    "a compiler": re.compile(
        r"/s?bin/(\S*-)?(gcc|g\+\+|cc|c\+\+|c89|c99|clang|ld|as|make|rustc|go|javac|tcc)(-[\d.]+)?$"
    ),
    "pip": re.compile(r"(/s?bin/pip[\d.]*$)|(/(dist|site)-packages/(pip|setuptools|wheel|uv)/)|(/ensurepip/)"),
    "a package manager": re.compile(r"/s?bin/(apt|apt-get|dpkg|apk|yum|dnf|rpm|conda)$"),
    "a pickle": re.compile(r"\.(pkl|pickle|joblib|dill|p|pt|pth)$"),
    "a secret": re.compile(
        r"/(\.netrc|\.pypirc|\.npmrc|\.git-credentials|id_(rsa|dsa|ecdsa|ed25519)|credentials|\.env)$"
    ),
    "a repository": re.compile(r"/\.(git|dvc)/"),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """How an image of one kind is tried: what says that it is ready, what it is asked, and what lies in its volume."""

    healthy: Sequence[str]
    asked: Callable[[engine.Container], Iterable[Check]]
    data: Mapping[str, bytes] | None = None


def smoke(
    machine: engine.Engine, image: engine.Found, golden: Mapping[str, Any], labels: Mapping[str, str]
) -> Iterator[Check]:
    """Yield what was found of a model's image, each as a check; one that does not start yields why."""
    yield from tried(machine, image, labels, Trial(HEALTHY, lambda container: [_golden(container, golden)]))


def tried(machine: engine.Engine, image: engine.Found, labels: Mapping[str, str], trial: Trial) -> Iterator[Check]:
    """Yield what was found, each as a check; an image that does not start yields why."""
    yield _described(image, labels)
    user = f"{20_000 + secrets.randbelow(40_000)}:0"  # any number will do, and some platforms draw one
    more = {} if trial.data is None else {"data": trial.data}
    with machine.started(image.id, user=user, environment={}, **more) as container:
        started = _ready(container, trial.healthy)
        yield started
        if started.outcome is not Found.PASSED:
            return
        yield _contents(container)
        yield _confined(container, user)
        yield from trial.asked(container)
    with machine.started(image.id, user="", environment={}, **more) as container:
        own = _ready(container, trial.healthy)
        yield Check("own user", own.outcome, f"as its own user {image.config.get('User')}: {own.message}")


def unwanted(names: Sequence[str]) -> dict[str, str]:
    """Return what should be in no image, with the first file that is."""
    found: dict[str, str] = {}
    for kind, pattern in _UNWANTED.items():
        first = next((name for name in names if pattern.search(name)), None)
        if first:
            found[kind] = first
    return found


def agrees(answers: Sequence[Any], golden: Mapping[str, Any]) -> tuple[bool, float]:
    """Hold answers against golden rows: whether all are within tolerance, and the largest difference, relative above 1."""
    pairs = [
        pair for answer, wanted in zip(answers, golden["outputs"], strict=True) for pair in _numbers(answer, wanted)
    ]
    if not pairs:
        return False, float("inf")
    apart = [abs(found - wanted) / max(1.0, abs(wanted)) for found, wanted in pairs]
    good = all(item <= golden["tolerance"] for item in apart)  # so that NaN counts as different
    return good, max(apart)


def _numbers(answer: Any, wanted: Any) -> list[tuple[float, float]]:
    if isinstance(wanted, list):
        return list(zip(map(float, answer), map(float, wanted), strict=True))
    return [(float(answer), float(wanted))]


def _described(image: engine.Found, labels: Mapping[str, str]) -> Check:
    """Look at what the image says of itself."""
    user = str(image.config.get("User") or "").split(":", 1)[0]
    wrong = [name for name, value in labels.items() if image.labels.get(name) != value]
    faults = [
        *([] if user.isdigit() and int(user) else [f"its user is {user or 'root'}, not a number above 0"]),
        *([] if image.config.get("Healthcheck") else ["it has no health check"]),
        *([f"its label {wrong[0]} is {image.labels.get(wrong[0])!r}"] if wrong else []),
    ]
    message = (
        faults[0] if faults else f"runs as user {user}, with a health check and {len(labels)} labels of its lineage"
    )
    return Check("description", _outcome(not faults), message)


def _ready(container: engine.Container, healthy: Sequence[str]) -> Check:
    """Wait until the server in the container says that it is ready."""
    began = time.monotonic()
    while time.monotonic() - began < _START_S:
        if not container.running():
            return Check("start", Found.REJECTED, f"the container ended at once: {reason(container.logs())}")
        if container.execute(healthy)[0] == 0:
            seconds = time.monotonic() - began
            return Check("start", Found.PASSED, "ready read-only, without a network, as a random user",
                         observed=round(seconds, 2), limit=_START_S)  # fmt: skip
        time.sleep(0.05)
    return Check("start", Found.REJECTED, f"not ready within {_START_S:g} s: {container.logs()[-300:]}")


def reason(logs: str) -> str:
    """Find the line that says why: the last one at level error, or the last one."""
    lines = logs.strip().splitlines() or ["it said nothing"]
    errors = [line for line in lines if '"level": "error"' in line or "Error" in line]
    return (errors or lines)[-1][:300]


def _contents(container: engine.Container) -> Check:
    """List every file, and look for what should not be there."""
    found = json.loads(_run(container, LIST))
    bad = unwanted(found["names"])
    if found["keys"]:
        bad["a private key"] = found["keys"][0]
    message = "; ".join(f"holds {kind}: {name}" for kind, name in bad.items())
    return Check(
        "contents",
        _outcome(not bad),
        message or "no compiler, pip, package manager, pickle or secret",
        n=len(found["names"]),
    )


def _confined(container: engine.Container, user: str) -> Check:
    """See that the process has the user it was given, and cannot write."""
    told = _run(container, WRITE).split()
    writable, uid = told[:-2], told[-1]
    good = not writable and uid == user.split(":", maxsplit=1)[0] != "0"
    fact = f"runs as {uid} and can write nowhere" if good else f"runs as {uid}, and can write to {', '.join(writable)}"
    return Check("confinement", _outcome(good), fact)


def _golden(container: engine.Container, golden: Mapping[str, Any]) -> Check:
    """Ask for the golden rows over HTTP."""
    answers: list[Any] = []
    for part in _parts(golden["rows"]):
        code, out = container.execute(python(ASK), stdin=json.dumps({"records": part}).encode())
        status, _, body = out.partition("\n")
        if code or status != "200":
            return Check("golden rows", Found.REJECTED, f"answered {status[:60]}: {body[:200]}")
        answers += json.loads(body)["predictions"]
    good, difference = agrees(answers, golden)
    message = f"{len(answers)} rows answered over HTTP, {'as' if good else 'not as'} when the bundle was sealed"
    return Check("golden rows", _outcome(good), message, difference, golden["tolerance"], n=len(answers))


def _parts(rows: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut rows so that each part fits into one environment variable."""
    part: list[Any] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row).encode())
        if part and size + length > _PART:
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


def _run(container: engine.Container, program: str) -> str:
    code, out = container.execute(python(program))
    if code:
        raise Unavailable(f"docker: a look into the container failed: {out.strip()[-300:]}")
    return out


def _outcome(good: bool) -> Found:
    return Found.PASSED if good else Found.REJECTED
