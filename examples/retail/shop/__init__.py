"""A shop's support desk: its records, the facts that rules look at, and the actions over them."""
