"""The release ledger: what happened to releases, in order, as annotated Git tags that GTO reads, too."""
