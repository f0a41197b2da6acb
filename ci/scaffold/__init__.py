"""From a CSV to a project: guess the contract, say why, rehearse it, write the files."""
