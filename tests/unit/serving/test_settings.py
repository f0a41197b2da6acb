from __future__ import annotations

from dataclasses import fields

import pytest

from serving.errors import BadOption
from serving.settings import PREFIX, Settings, parse


def test_options_win_over_the_environment():
    found = parse(["--model", "a", "--port", "1"], {PREFIX + "PORT": "2", PREFIX + "MAX_ROWS": "7", "MODEL_URI": "b"})
    assert (found.model, found.port, found.max_rows) == ("a", 1, 7)


def test_the_model_may_come_by_either_variable():
    assert parse([], {"MODEL_URI": "b"}).model == "b"
    assert parse([], {"MODEL_URI": "b", PREFIX + "MODEL": "c"}).model == "c"


def test_every_option_has_its_variable():
    for item in fields(Settings):
        if item.name not in {"model", "admin_token_file"} and not item.name.startswith("events"):
            assert (
                getattr(parse(["--model", "a"], {PREFIX + item.name.upper(): str(item.default)}), item.name)
                == item.default
            )


def test_the_token_cannot_be_given_where_every_user_sees_it():
    with pytest.raises(SystemExit):
        parse(["--model", "a", "--admin-token", "x"], {})
    assert parse(["--model", "a"], {PREFIX + "ADMIN_TOKEN": "x"}).admin_token == "x"  # noqa: S105


@pytest.mark.parametrize(
    ("argv", "environ", "words"),
    [
        ([], {}, "--model: missing"),
        (["--model", "a", "--port", "x"], {}, "--port: 'x' is not a whole number"),
        (["--model", "a", "--port", "70000"], {}, "--port: 70000 is above 65535"),
        (["--model", "a", "--slo-ms", "nan"], {}, "--slo-ms: nan is not a finite number"),
        (["--model", "a"], {PREFIX + "MAX_ROWS": "0"}, "SLIPWAY_SERVING_MAX_ROWS: 0 is below 1"),
        (["--model", "a", "--log-level", "loud"], {}, "--log-level: 'loud' is not one of"),
        (["--model", "a", "--admin-loopback", "maybe"], {}, "--admin-loopback: 'maybe' is not true or false"),
        (["--model", "a", "--events-rate", "0.1"], {}, "--events-rate: needs"),
        (["--model", "a", "--events-url", "file:///x"], {}, "--events-url: not an http"),
        (["--model", "a", "--admin-token-file", "/nowhere"], {}, "--admin-token-file: /nowhere"),
    ],
)
def test_what_cannot_be_used_is_named(argv, environ, words):
    with pytest.raises(BadOption, match=words):
        parse(argv, environ)
