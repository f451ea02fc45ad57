"""The shipper: one process per host that moves journal segments to the `ingest` queue (design: the journal)."""
