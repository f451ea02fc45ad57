"""Each promised figure as a command: `make bench-…` prints a table and, as its last line, one JSON object."""
