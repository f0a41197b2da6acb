"""The Jenkins client against a stand-in that is as pedantic as a controller."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from ci.adapters.jenkins import Controller
from ci.adapters.starters import JenkinsStarter
from ci.errors import BadInput, Unavailable
from ci.params_retraining import Jenkins as Settings
from ci.retraining.cases import Attempt
from ci.retraining.interface import Wanted
from tests.integration.jenkins_standin import TOKEN, USER, Jenkins

ENVIRON = {"SLIPWAY_JENKINS_USER": USER, "SLIPWAY_JENKINS_TOKEN": TOKEN}
WANTED = Wanted("flights", "a" * 64, date(2013, 8, 1), "PSI .4 & more\u00fc")
ATTEMPT = Attempt(request="a" * 64, at=datetime(2026, 11, 24, tzinfo=UTC), as_of=date(2013, 8, 1))


@pytest.fixture
def jenkins():
    with Jenkins() as standin:
        yield standin


def starter(jenkins, environ=ENVIRON, **changes):
    settings = Settings(**{"url": jenkins.url, "job": "ml/retrain", "poll_s": 0.01, "timeout_s": 2, **changes})
    controller = Controller(settings, environ, lambda _: None)
    return JenkinsStarter(settings, controller, lambda _: None, lambda _: None)


def go(jenkins, attempt=ATTEMPT, *, wait=True, keep=lambda _: None, **changes):
    return starter(jenkins, **changes).go_on(WANTED, attempt, keep, wait=wait)


def posts(jenkins):
    return [path for method, path in jenkins.seen if method == "POST"]


@pytest.mark.parametrize(
    ("result", "status"),
    [("SUCCESS", "passed"), ("UNSTABLE", "rejected"), ("FAILURE", "failed"), ("ABORTED", "failed"), ("NOT_BUILT", "failed")],
)  # fmt: skip
def test_from_the_request_through_queue_and_build_to_the_result(jenkins, result, status):
    jenkins.result = result
    kept = []
    ended = go(jenkins, keep=kept.append)
    assert (ended.status, ended.told) == (status, f"{result}: {jenkins.url}/job/ml/job/retrain/101/")
    assert jenkins.items[0].parameters == {
        "PROJECT": "flights", "AS_OF": "2013-08-01", "REQUEST": "a" * 64, "REASON": "PSI .4 & more\u00fc"}  # fmt: skip
    assert [(item.queue, item.build) for item in kept] == [("1", None), ("1", "101")]


def test_without_a_crumb_issuer_none_is_sent(jenkins):
    jenkins.crumbs = False
    assert go(jenkins).status == "passed"


def test_a_crumb_that_ran_out_with_its_session_is_fetched_again(jenkins):
    client = starter(jenkins)
    client.go_on(WANTED, ATTEMPT, lambda _: None, wait=False)
    jenkins.sessions.clear()
    jenkins.items.clear()
    assert client.go_on(WANTED, ATTEMPT, lambda _: None, wait=False).queue == "1"
    assert posts(jenkins)[-2:] == ["/job/ml/job/retrain/buildWithParameters"] * 2


@pytest.mark.parametrize(
    ("environ", "changes", "said"),
    [
        ({**ENVIRON, "SLIPWAY_JENKINS_TOKEN": "wrong"}, {}, "does not know the user or the token"),
        (ENVIRON, {"job": "ml/other"}, "has no such job"),
        (ENVIRON, {"job": "ml/ret rain"}, "has no such job"),
        ({}, {}, "SLIPWAY_JENKINS_USER: not set in the environment"),
    ],
)
def test_what_is_refused_is_bad_input_and_not_repeated(jenkins, environ, changes, said):
    with pytest.raises(BadInput, match=said) as problem:
        go(jenkins, environ=environ, **changes)
    assert TOKEN not in str(problem.value)
    assert len(posts(jenkins)) <= 1


def test_a_parameter_that_the_job_does_not_declare_is_told(jenkins):
    jenkins.known = ("PROJECT",)
    with pytest.raises(BadInput, match="takes no such parameters"):
        go(jenkins)


@pytest.mark.parametrize("trouble", [[500], [502, 503], [429]])
def test_errors_of_the_server_are_tried_again(jenkins, trouble):
    jenkins.trouble = trouble
    assert go(jenkins).status == "passed"
    assert len(jenkins.items) == 1


def test_a_server_that_only_makes_errors_is_unavailable(jenkins):
    jenkins.trouble = [503] * 50
    with pytest.raises(Unavailable, match="answers with 503"):
        go(jenkins)


def test_a_post_whose_answer_was_lost_is_not_repeated(jenkins):
    def lost(handler, body):
        handler.headers  # noqa: B018
        handler.answer = lambda *_: None  # the build is queued, the answer never comes
        handler.build(handler.path, body)
        handler.close_connection = True

    jenkins.trouble = [None, None, None, lost]  # queue, builds, crumb, then the POST
    assert go(jenkins).status == "passed"
    assert len(jenkins.items) == 1


def test_a_run_that_died_after_asking_finds_what_it_asked_for(jenkins):
    go(jenkins, wait=False)
    assert go(jenkins, ATTEMPT).status == "passed"  # nothing was kept
    assert len(jenkins.items) == 1
    assert len(posts(jenkins)) == 1


def test_what_was_kept_is_gone_on_with(jenkins):
    waiting = go(jenkins, wait=False)
    assert (waiting.status, waiting.queue) == ("asked", "1")
    assert go(jenkins, waiting).status == "passed"
    assert len(posts(jenkins)) == 1


def test_an_item_that_left_the_queues_memory_is_found_among_the_builds(jenkins):
    waiting = go(jenkins, wait=False)
    jenkins.items[0].hidden, jenkins.items[0].waits, jenkins.items[0].looks = 10**6, -(10**6), 1
    assert go(jenkins, waiting).status == "passed"


def test_taken_out_of_the_queue(jenkins):
    jenkins.cancelled = True
    ended = go(jenkins)
    assert (ended.status, ended.told.partition(": ")[2]) == ("failed", "somebody took it out of the queue")


def test_a_build_that_does_not_end_in_time_is_still_running(jenkins):
    jenkins.builds = 10**6
    client = starter(jenkins, follow_s=1)
    moments = iter(range(100))
    client = JenkinsStarter(client.settings, client.controller, lambda _: None, lambda _: None, lambda: next(moments))
    ended = client.go_on(WANTED, ATTEMPT, lambda _: None, wait=True)
    assert not ended.ended
    assert "not ended after 1 s" in ended.told


def test_answers_that_drip_are_bounded_in_time(jenkins):
    jenkins.slow_s = 0.05
    began = time.monotonic()
    with pytest.raises(Unavailable, match="within"):
        go(jenkins, timeout_s=0.3, tries=2)
    assert time.monotonic() - began < 1.5


def test_headers_that_drip_are_bounded_in_time(jenkins):
    def drip(handler, _):
        for _place in range(40):
            handler.wfile.write(b"H")
            handler.wfile.flush()
            time.sleep(0.05)

    jenkins.trouble = [drip] * 4
    began = time.monotonic()
    with pytest.raises(Unavailable, match="within"):
        go(jenkins, timeout_s=0.2, tries=2)
    assert time.monotonic() - began < 1.5


def test_silence_is_bounded_in_time(jenkins):
    jenkins.trouble = [lambda *_: time.sleep(1.5)] * 4
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no whole answer within 0.2 s"):
        go(jenkins, timeout_s=0.2, tries=2)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"[]", b"x" * (5 * 2**20)])
def test_an_answer_that_is_none_is_unavailable(jenkins, body):
    jenkins.trouble = [lambda handler, _: handler.answer(200, body)] * 50
    with pytest.raises(Unavailable):
        go(jenkins)


def test_credentials_go_to_no_other_host(jenkins):
    got = []

    class Thief(BaseHTTPRequestHandler):
        def do_GET(self):
            got.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815

    thief = HTTPServer(("127.0.0.1", 0), Thief)
    Thread(target=thief.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    elsewhere = f"http://localhost:{thief.server_address[1]}/"
    try:
        jenkins.trouble = [lambda handler, _: handler.answer(302, b"", ("Location", elsewhere))]
        with pytest.raises(BadInput, match="redirects to http://localhost: refused"):
            go(jenkins)
        jenkins.location = elsewhere + "queue/item/{number}/"  # only the number counts
        assert go(jenkins).status == "passed"
    finally:
        thief.shutdown()
        thief.server_close()
    assert got == []


def test_a_redirect_within_the_host_is_followed_for_a_look_but_not_for_a_request(jenkins):
    place = "/queue/api/json"
    jenkins.trouble = [lambda handler, _: handler.answer(302, b"", ("Location", place))]
    assert go(jenkins).status == "passed"
    jenkins.items.clear()
    jenkins.trouble = [None, None, None, lambda handler, _: handler.answer(302, b"", ("Location", place))]
    with pytest.raises(BadInput, match="redirects a POST"):
        go(jenkins)
    jenkins.trouble = [lambda handler, _: handler.answer(302, b"", ("Location", place))] * 9
    with pytest.raises(BadInput, match="redirects in circles"):
        go(jenkins)


def test_a_201_without_a_queue_item_is_no_jenkins(jenkins):
    jenkins.location = "/somewhere"
    with pytest.raises(BadInput, match="named no queue item"):
        go(jenkins)


def test_nobody_there(jenkins):
    with pytest.raises(Unavailable, match="127.0.0.1: does not answer"):
        starter(jenkins, url="http://127.0.0.1:9").go_on(WANTED, ATTEMPT, lambda _: None, wait=True)


def test_private_addresses_only_where_they_are_allowed(jenkins):
    with pytest.raises(BadInput, match="127.0.0.1 is a private address"):
        go(jenkins, private=False)
    assert jenkins.seen == []
