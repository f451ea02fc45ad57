"""The local journal: the only truth about a hit until MongoDB has its event (design: the journal)."""
