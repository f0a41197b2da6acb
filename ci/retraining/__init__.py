"""When a model is learned anew without a person asking, and when it is not."""
