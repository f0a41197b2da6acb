"""After a release is live: looking at it on a schedule, and taking it back."""
