# SPDX-License-Identifier: Apache-2.0
"""What the numbers in the README come from: apps, open and first-open are run by hand."""
