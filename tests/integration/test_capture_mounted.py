# SPDX-License-Identifier: Apache-2.0
"""The tests of capture's outputs, languages and links once more, with a real pack and a real mount
in place of a bare relink."""

import capture
import harness
from test_capture_languages import *
from test_capture_links import *
from test_capture_outputs import *

if __name__ == "__main__":
    capture.through_a_mount = True
    harness.main()
