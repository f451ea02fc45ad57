"""Helpers that know nothing of the domain, one subject a file."""
