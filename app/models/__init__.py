"""Frozen dataclasses and enums that cross rooms. No I/O, no framework."""
