"""What release managers do: promote, roll back, mark, approve, and ask what runs."""
