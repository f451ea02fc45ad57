"""Everything that speaks HTTP: the tracking front, the `/v1` API (`api/`), health and metrics."""
