"""Services of Slipway's own as releases: their bundle, their smoke test, their image."""
