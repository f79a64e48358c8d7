"""The C++ core: an EGRU layer whose cost is proportional to the number of events."""
