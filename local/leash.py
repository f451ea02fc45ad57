"""supervisord that does not outlive the program that started it (`supervision.py`), not even after `kill -9`.

Linux sends it TERM when its parent ends, and on TERM it stops every process in order.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from supervisor import supervisord  # type: ignore[import-untyped]  # publishes no types

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    # The parent may have ended before the line above.
    if os.getppid() == int(os.environ["TELLTALE_RUNNER_PID"]):
        supervisord.main(sys.argv[1:])


if __name__ == "__main__":
    main()
