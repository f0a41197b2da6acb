"""
The tables, in the words of either database.

Records lie by key, which begins with the event time where that is part of the key (`collector/keys.py`). What was
replaced moves to `past`. `days` and `counts` are kept by the transactions that change what they count; of a period whose
rows were `removed` its days stay, so that nobody takes the past for something that never was.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

TABLES = (
    "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS projects (id {id}, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS shapes (id {id}, project {int} NOT NULL, columns TEXT NOT NULL, UNIQUE (project, columns))",
    """CREATE TABLE IF NOT EXISTS records (
        project {int} NOT NULL, key {blob} NOT NULL, time {int} NOT NULL, version {int} NOT NULL, shape {int} NOT NULL,
        received {int} NOT NULL, row {blob} NOT NULL, PRIMARY KEY (project, key)) {clustered}""",
    "CREATE INDEX IF NOT EXISTS records_by_time ON records (project, time, key)",
    """CREATE TABLE IF NOT EXISTS outcomes (
        project {int} NOT NULL, kind {int} NOT NULL, address {blob} NOT NULL, known_at {int} NOT NULL,
        version {int} NOT NULL, waits {int} NOT NULL, labelled {int} NOT NULL, received {int} NOT NULL,
        known {blob} NOT NULL, PRIMARY KEY (project, kind, address)) {clustered}""",
    """CREATE TABLE IF NOT EXISTS predictions (
        id {id}, project {int} NOT NULL, address {blob} NOT NULL, release TEXT NOT NULL, version TEXT NOT NULL,
        time {int} NOT NULL, happens {int} NOT NULL, due {int} NOT NULL, restated {int} NOT NULL,
        received {int} NOT NULL, body {blob} NOT NULL, UNIQUE (project, address, release))""",
    "CREATE INDEX IF NOT EXISTS predictions_by_event ON predictions (project, happens)",
    """CREATE TABLE IF NOT EXISTS joined (
        id {id}, project {int} NOT NULL, prediction {int} NOT NULL UNIQUE, time {int} NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS joined_by_project ON joined (project, id)",
    """CREATE TABLE IF NOT EXISTS past (
        id {id}, project {int} NOT NULL, kind TEXT NOT NULL, key {blob} NOT NULL, version {int} NOT NULL,
        replaced {int} NOT NULL, shape {int} NOT NULL, row {blob} NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS past_by_project ON past (project, id)",
    "CREATE INDEX IF NOT EXISTS past_by_key ON past (project, kind, key)",
    """CREATE TABLE IF NOT EXISTS days (
        project {int} NOT NULL, day {int} NOT NULL, rows {int} NOT NULL, newest {int} NOT NULL, version {int} NOT NULL,
        PRIMARY KEY (project, day))""",
    """CREATE TABLE IF NOT EXISTS counts (
        project {int} NOT NULL, name TEXT NOT NULL, n {int} NOT NULL, PRIMARY KEY (project, name))""",
    """CREATE TABLE IF NOT EXISTS removed (
        project {int} NOT NULL, start {int} NOT NULL, stop {int} NOT NULL, period TEXT NOT NULL, digest TEXT NOT NULL,
        rows {int} NOT NULL, labelled {int} NOT NULL, newest {int}, version {int} NOT NULL, removed {int} NOT NULL,
        PRIMARY KEY (project, start))""",
    "CREATE TABLE IF NOT EXISTS clocks (project {int} PRIMARY KEY, newest_outcome {int} NOT NULL)",
    """CREATE TABLE IF NOT EXISTS quarantine (
        id {id}, project {int} NOT NULL, kind TEXT NOT NULL, received {int} NOT NULL, sender TEXT NOT NULL,
        digest {blob} NOT NULL, reasons {blob} NOT NULL, record {blob} NOT NULL, UNIQUE (project, kind, digest))""",
)  # fmt: skip
