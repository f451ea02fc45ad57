"""`make bench-engagement`: replays people, proxies and machines whose truth is known, and counts what is told apart.

`data/` is the published test kit and knows nothing of Telltale (README.md); `plan` makes timed requests of it, `score`
compares verdicts with truth, and the rest plays the plan through a whole copy of our own.
"""
