"""What the defaults reach on two public data sets, beside boosted trees and two other libraries. See run.py."""
