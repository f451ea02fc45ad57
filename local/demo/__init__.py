"""`make demo`: brands, recipients and a webhook receiver played against a running copy, expected compared with seen.

Reading order: `story` (what happens), `mailings` (what is registered), `players` (what recipients do), `hits` (one
request), `receiver` (where the webhooks go), `figures` (the comparison). Only public interfaces of the copy are used.
"""
