"""The one list of parameters, and the decorator that makes constructors of it."""
