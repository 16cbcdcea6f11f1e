"""Scikit-learn's side: what is fitted, asked, saved and cloned."""
