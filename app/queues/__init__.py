"""Brands' own message queues: what they are told there, and how."""
