"""Whose network an address belongs to: versioned lists in `data`, newer ones in the state folder.

`live` answers for a running process, `table` is the look-up, `list_file` what a file says, `catalogue` which lists
there are and where their vendors publish them, `refusals` what is never installed; `flask networks` joins them.
"""

from app.ingest.networks.live import Networks

__all__ = ["Networks"]
