"""Services of Slipway's own as releases: their bundle, their smoke test, their image."""

CODE = (
    "code.zip"  # the file of a bundle with the server; named here, so that rollbacks need not know how bundles are made
)
