"""What `prepare` leaves in its folder, by name."""

TRAIN, TEST, SPLIT = "train.parquet", "test.parquet", "split.json"
