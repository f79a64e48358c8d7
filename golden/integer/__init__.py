"""The specification: the EGRU in integers, which hardware equals bit for bit."""
