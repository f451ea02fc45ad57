"""Registering messages: what a brand asks to have tracked becomes a block, messages, and content with tracked links."""
