# SPDX-License-Identifier: Apache-2.0
"""Glance, Cinder and Keystone answer wrongly, break off or keep silent."""

import checker
import http_proxy
from held import linger_on
from methods import method

FILE, IMAGE = r"^/v2/images/[^/]+/file", r"^/v2/images/[0-9a-f-]+$"
MIB = 1 << 20


def ruled(proxy, verb, path, action, times=1, hold_s=0.0, then=None):
    """A rule for the time of one request; held for so long, in which then(case) happens."""
    def inject(case):
        rule = case.proxies[proxy].on(verb, path, action, times)
        case.attempt.start()
        if hold_s:
            if rule.hit.wait(30):
                linger_on(case, 0.3)
                if then:
                    then(case)
                linger_on(case, hold_s)
            case.proxies[proxy].release()
        checker.settle(case.attempt, 60)
        return rule.hits > 0
    return inject


def glance(session, name, what, matrix, nova, *rule, expect=None, **more):
    session.row(method(name), what, ruled("glance", *rule, **more), matrix=matrix, nova=nova,
                expect=expect)


def answers(session, names, codes):
    """Once, so that the next attempt of the agent comes through; and always."""
    for name in names:
        for matrix, code, nova in codes:
            for times, often in ((1, "once"), (99, "always")):
                glance(session, name, f"PUT answered {code} {often}", matrix, nova, "PUT", FILE,
                       http_proxy.answer(code), times)


PUT_CODES = [("F23", 410, "image deleted, Error"), ("F23", 409, "image deleted, Error"),
             ("F23", 500, "image deleted, Error"), ("F23", 502, "image deleted, Error"),
             ("F24", 503, "image may be active and short"), ("F25", 413, "image deleted, Error")]


def broken(session, name):
    nova = "image may be active and short"
    for what, action in (
            ("PUT broken off after 8 MiB", http_proxy.drop_after(8 * MIB)),
            ("PUT broken off after 64 KiB", http_proxy.drop_after(64 << 10)),
            ("PUT refused", http_proxy.refuse),
            ("PUT's answer cut", http_proxy.truncate_answer(10)),
            ("PUT's answer lost", http_proxy.truncate_answer(0))):
        glance(session, name, what, "F24", nova, "PUT", FILE, action)
    glance(session, name, "PUT broken off always", "F24", nova, "PUT", FILE,
           http_proxy.drop_after(8 * MIB), 99)


def records(session, name):
    """The image's record cannot be read or changed."""
    for code in (401, 403):
        glance(session, name, f"GET answered {code} always", "F7", "Error, image may stay", "GET",
               IMAGE, http_proxy.answer(code), 99)
    glance(session, name, "GET's answer cut", "F7", "Error", "GET", IMAGE,
           http_proxy.truncate_answer(120))
    glance(session, name, "PATCH answered 500", "F23", "image deleted, Error", "PATCH", IMAGE,
           http_proxy.answer(500))
    glance(session, name, "PATCH's answer lost", "F23", "image deleted, Error", "PATCH", IMAGE,
           http_proxy.truncate_answer(0))
    glance(session, name, "DELETE answered 503 once, PUT 413", "F25", "image stays", "PUT", FILE,
           failing_delete(), 99)


def failing_delete():
    """The upload is refused, and so is the deletion that follows, once."""
    def act(proxy, exchange):
        with proxy.lock:
            proxy.rules.append(http_proxy.Rule("DELETE", IMAGE, http_proxy.answer(503), 1))
        exchange.answer(413)
    return act


def stalls(session, name):
    glance(session, name, "PUT stalls 4 s midway", "F24", "waits", "PUT", FILE,
           http_proxy.stall_after(8 * MIB), hold_s=4)
    glance(session, name, "PUT stalls 25 s midway", "F24", "waits for ever", "PUT", FILE,
           http_proxy.stall_after(8 * MIB), hold_s=25)
    glance(session, name, "GET stalls 3 s", "F24", "waits", "GET", IMAGE, http_proxy.stall,
           hold_s=3)


def others(session):
    """Cinder and Keystone."""
    for what, verb, action in (("POST snapshots answered 500", "POST", http_proxy.answer(500)),
                               ("POST snapshots broken off", "POST", http_proxy.refuse),
                               ("POST's answer lost", "POST", http_proxy.truncate_answer(0)),
                               ("POST snapshots answered 413", "POST", http_proxy.answer(413))):
        session.row(method("volume-backed cast"), what,
                    ruled("cinder", verb, r"/snapshots$", action), matrix="F23",
                    nova="Error, snapshots left")
    session.row(method("volume snapshot"), "status for Cinder answered 500",
                ruled("cinder", "POST", r"/snapshots/.*/action", http_proxy.answer(500)),
                matrix="F23", nova="Cinder waits for its timeout")
    session.row(method("live running"), "Keystone answers 500",
                ruled("keystone", "POST", r"/auth/tokens", http_proxy.answer(500), 99),
                matrix="F7", nova="image deleted, Error")


def run(session, short=False):
    if short:
        glance(session, "live running", "PUT broken off after 8 MiB", "F24",
               "image may be active and short", "PUT", FILE, http_proxy.drop_after(8 * MIB))
        glance(session, "live running", "PUT answered 413 always", "F25", "image deleted, Error",
               "PUT", FILE, http_proxy.answer(413), 99)
        return
    answers(session, ["live running"], PUT_CODES)
    answers(session, ["cold running"], PUT_CODES[4:])
    broken(session, "live running")
    broken(session, "backup")
    broken(session, "stream running")
    records(session, "live running")
    stalls(session, "live running")
    stalls(session, "stream running")
    others(session)
