"""A trained network is asked, without an optimizer and without skorch."""
