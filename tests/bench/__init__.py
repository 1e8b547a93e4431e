# SPDX-License-Identifier: Apache-2.0
"""What the numbers in the README come from: apps, open, first-open and fs are run by hand."""
