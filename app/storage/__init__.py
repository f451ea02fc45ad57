"""MongoDB and Redis only: one file per collection, no rules of the domain. Indexes and lifetimes are in `indexes`."""
