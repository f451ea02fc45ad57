"""Telltale tells brands what happened to the email and SMS they sent.

Start at docs/architecture.md. Nothing is created here: importing a leaf must not load Flask.
"""
