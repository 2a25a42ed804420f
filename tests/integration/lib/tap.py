# SPDX-License-Identifier: Apache-2.0
"""unittest that speaks TAP."""

import os
import sys
import time
import unittest

DEFAULT_METHOD = "blockrebase"


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = 0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def line(self, word, test):
        self.number += 1
        name = test.shortDescription() or test.id()
        seconds = time.monotonic() - self.started
        print(f"{word} {self.number} - {name} # {seconds:.1f} s", flush=True)

    def failed(self, test, err):
        self.line("not ok", test)
        for line in self._exc_info_to_string(err, test).splitlines():
            print("#", line, flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line("ok", test)

    def addError(self, test, err):
        super().addError(test, err)
        if not isinstance(test, unittest.TestCase):  # setUpClass and the like
            self.started = time.monotonic()
        self.failed(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.failed(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.failed(subtest, err)

    def addSkip(self, test, reason):
        raise AssertionError(f"{test.id()} was skipped: {reason}")


def any_method(test):
    """A decorator: how a live snapshot reads the disk is nothing to it. Once, by the default, will do."""
    test.any_method = True
    return test


def without_any_method(suite):
    """The tests of a suite of suites that are not marked so."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from without_any_method(item)
        elif not hasattr(getattr(item, item._testMethodName, None), "any_method"):
            yield item


def main():
    """
    Runs the tests of the calling script; names as arguments choose some. With LIVE_SNAPSHOT_METHOD those
    that any_method marks are left to the run without it.
    """
    loader = unittest.TestLoader()
    names = sys.argv[1:] or None
    module = sys.modules["__main__"]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    if os.environ.get("LIVE_SNAPSHOT_METHOD", DEFAULT_METHOD) != DEFAULT_METHOD and not names:
        suite = unittest.TestSuite(without_any_method(suite))
    result = TapResult()
    suite.run(result)
    print(f"1..{result.number}", flush=True)
    sys.exit(0 if result.wasSuccessful() and result.number else 1)
