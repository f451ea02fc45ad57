"""A whole Telltale on one machine without root and without Docker: `make run`, `make demo` and the tests use it."""
