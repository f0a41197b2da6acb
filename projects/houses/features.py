"""Houses: the columns of the contract are the features."""
