"""The paper's network in plain torch: formulas, to be read beside it."""
