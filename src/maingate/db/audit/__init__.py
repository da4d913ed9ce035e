"""The audit: every chain, fact, number and copy of the record is checked, with findings."""
