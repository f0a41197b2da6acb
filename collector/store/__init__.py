"""Where records, predictions and outcomes are kept: SQLite beside the service, or PostgreSQL."""
