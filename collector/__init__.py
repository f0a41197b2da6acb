"""
The collection service: takes records, prediction events and outcomes over HTTP, and gives out periods of final rows.

It stands alone. It imports uvicorn, msgspec and pyarrow, psycopg only for PostgreSQL, and of this repository only those
leaves of `serving` that know nothing of models; contract files are all that it shares with the pipeline.
"""

VERSION = "1.0.0"
