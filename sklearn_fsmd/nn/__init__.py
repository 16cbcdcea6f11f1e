"""The layers, in plain torch."""
