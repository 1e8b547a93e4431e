# SPDX-License-Identifier: Apache-2.0
"""How a test function ends, other than well."""


class TestFailure(Exception):
    """Something was not as the test says it must be."""


class Skipped(Exception):
    """This machine cannot answer the question that the test asks; the text says why."""


def skip(reason):
    raise Skipped(reason)
