"""Hourly files of a brand's events in the bucket of the brand."""
