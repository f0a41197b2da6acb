"""What others are told: one message, signed, kept until it has arrived."""
