"""A table becomes codes and scaled numbers, and targets become labels: what a value is, and what is refused."""
