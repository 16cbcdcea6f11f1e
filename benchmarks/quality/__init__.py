"""Quality of the defaults on two public data sets, compared with boosted trees and two other libraries. See run.py."""
