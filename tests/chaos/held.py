# SPDX-License-Identifier: Apache-2.0
"""A request that is held at a failpoint while something happens to it."""

import time

import kills
from lab import wait_until

REACH_S = 40


def held(point, happens, linger=0.0):
    """
    happens(case) while the agent stands at the point. `linger`: seconds after the release before
    what happened is ended. False: the point was not passed.
    """
    def inject(case):
        case.failpoint.arm(point, "hold")
        case.attempt.start()
        if not case.failpoint.wait_reached(REACH_S, case.attempt.settled):
            case.failpoint.release()
            return False
        try:
            happens(case)
        finally:
            case.failpoint.release()
        linger_on(case, linger)
        return True
    return inject


def linger_on(case, seconds):
    """A fault's time; a request that is over does not wait for its end."""
    wait_until(case.attempt.settled, seconds, 0.1)


def until_settled(case, seconds=30):
    wait_until(case.attempt.settled, seconds, 0.1)


def some_points(session, method, count):
    """Points the method passes, chosen by the seed; kill points have been tried before."""
    passed = kills.Passed().of(method)
    return session.random.sample(passed, min(count, len(passed)))


def pause(seconds):
    """Of the test's own: what happened needs its time."""
    time.sleep(seconds)
