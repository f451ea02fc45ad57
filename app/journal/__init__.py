"""The local journal: the only truth about a hit until MongoDB has its event. Lines are in `models.record_line`."""
