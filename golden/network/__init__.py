"""The float network: the EGRU cell and the networks around it."""
