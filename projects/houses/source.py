"""Houses in King County: one table, taken as it is."""
